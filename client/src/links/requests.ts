// HTTP requests with a deadline, that end together.

import type { Environment } from '../environment.js'

export interface RequestOptions {
  method: 'GET' | 'POST' | 'DELETE'
  headers?: Record<string, string>
  body?: Uint8Array
  /** Milliseconds until the head of the answer must be there. */
  deadline: number
  /** Whether the answer is of use after the page has gone. */
  keepalive?: boolean
}

/** Requests of one session. */
export class Requests {
  #environment: Environment
  #open = new Set<AbortController>()

  constructor (environment: Environment) {
    this.#environment = environment
  }

  /**
   * Makes a request and hands its answer to `use`, within which its body may be read. Rejects if there is no answer, and on `abort`.
   */
  async make<T> (url: string, options: RequestOptions, use: (response: Response, late: Deadline) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    const late = new Deadline(this.#environment, () => { controller.abort() })
    this.#open.add(controller)
    try {
      late.in(options.deadline)
      const response = await (this.#environment.fetch as typeof fetch)(url, {
        method: options.method,
        headers: { ...(options.body ? { 'content-type': 'application/octet-stream' } : {}), ...options.headers },
        signal: controller.signal,
        cache: 'no-store',
        ...(options.body ? { body: options.body as Uint8Array<ArrayBuffer> } : {}),
        ...(options.keepalive === true ? { keepalive: true } : {})
      })
      return await use(response, late)
    } finally {
      late.never()
      this.#open.delete(controller)
      // Of an answer that nobody has read to its end the connection would stay in use.
      controller.abort()
    }
  }

  /** Ends all that are under way. */
  abort (): void {
    for (const controller of this.#open) controller.abort()
  }
}

/** A time by which something has to happen. */
export class Deadline {
  #environment: Environment
  #missed: () => void
  #timer: unknown

  constructor (environment: Environment, missed: () => void) {
    this.#environment = environment
    this.#missed = missed
  }

  in (ms: number): void {
    this.never()
    this.#timer = this.#environment.setTimeout(this.#missed, ms)
  }

  never (): void {
    this.#environment.clearTimeout(this.#timer)
  }
}
