// The network of one pane, which a visitor may spoil: everything goes through here, is counted, and can be cut or slowed.

import { LineSocket } from './socket.js'

/** How slow the line is made. */
export interface Pace {
  /** Milliseconds, each way. */
  delay: number
  /** Bytes a second, each way. */
  rate: number
}

export const FULL_SPEED: Pace = { delay: 0, rate: Infinity }

export interface Traffic {
  up: number
  down: number
  messages: number
}

type WorldEvent = 'online' | 'offline' | 'visible' | 'pagehide' | 'pageshow'

/** One direction: what passes keeps its order. */
class Lane {
  #free = 0

  /** Calls `then` when so many bytes are through. */
  pass (bytes: number, { delay, rate }: Pace, then: () => void): void {
    const now = performance.now()
    if (delay === 0 && rate === Infinity && this.#free <= now) return then()
    this.#free = Math.max(now, this.#free) + bytes / rate * 1000
    setTimeout(then, this.#free + delay - now)
  }
}

export class Line {
  readonly traffic: Traffic = { up: 0, down: 0, messages: 0 }
  pace = FULL_SPEED
  #isCut = false
  #lanes = { up: new Lane(), down: new Lane() }
  /** What ends when the line is cut. */
  #open = new Set<() => void>()
  #listeners = new Map<WorldEvent, Set<() => void>>()

  get isCut (): boolean { return this.#isCut }

  cut (): void {
    this.#isCut = true
    for (const end of [...this.#open]) end()
  }

  /** Puts it back, and says so as the browser does when there is a network again. */
  restore (): void {
    this.#isCut = false
    for (const run of this.#listeners.get('online') ?? []) run()
  }

  /** Ends what is open, as a flaw of the network does. */
  drop (): void {
    for (const end of [...this.#open]) end()
  }

  /** Counts what goes one way, and calls `then` once it is through. */
  pass (way: 'up' | 'down', bytes: number, then: () => void): void {
    this.traffic[way] += bytes
    this.traffic.messages++
    this.#lanes[way].pass(bytes, this.pace, then)
  }

  /** Calls `end` when the line is cut, until the returned function is called. */
  opened (end: () => void): () => void {
    this.#open.add(end)
    return () => { this.#open.delete(end) }
  }

  /** A WebSocket over this line. */
  get WebSocket (): new (url: string, protocols?: string[]) => WebSocket {
    const line = this
    return class extends LineSocket {
      constructor (url: string, protocols?: string[]) { super(line, url, protocols) }
    } as unknown as new (url: string, protocols?: string[]) => WebSocket
  }

  /** A request over this line. */
  fetch = async (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    if (this.#isCut) throw new TypeError('the line is cut')
    const controller = new AbortController()
    const abort = (): void => { controller.abort() }
    init.signal?.addEventListener('abort', abort)
    const done = this.opened(abort)
    try {
      await new Promise<void>(resolve => { this.pass('up', (init.body as Uint8Array | undefined)?.byteLength ?? 0, resolve) })
      const response = await fetch(input, { ...init, signal: controller.signal })
      if (response.body === null) {
        done()
        return response
      }
      const line = this
      const counted = response.body.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({
        transform: async (chunk, through) => {
          await new Promise<void>(resolve => { line.pass('down', chunk.byteLength, resolve) })
          through.enqueue(chunk)
        },
        flush: done
      }))
      return new Response(counted, { status: response.status, statusText: response.statusText, headers: response.headers })
    } catch (error) {
      done()
      throw error
    }
  }

  /** Events of the world, as they are, and `online` also when the line is put back. */
  listen = (event: WorldEvent, run: () => void): () => void => {
    const own = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, own.add(run))
    const target: EventTarget = event === 'visible' ? document : window
    const heard = (): void => { if (event !== 'visible' || document.visibilityState === 'visible') run() }
    target.addEventListener(event === 'visible' ? 'visibilitychange' : event, heard)
    return () => {
      own.delete(run)
      target.removeEventListener(event === 'visible' ? 'visibilitychange' : event, heard)
    }
  }
}
