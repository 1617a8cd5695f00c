// What the provider takes from the world around it, in a browser or in Node.js. Tests bring a world of their own.

export type SocketConstructor = new (url: string, protocols?: string[]) => WebSocket

export type WorldEvent = 'online' | 'offline' | 'visible' | 'pagehide' | 'pageshow'

export interface Environment {
  /** Milliseconds of the wall clock: it goes on while the machine sleeps, and so tells that it did. */
  now: () => number
  random: () => number
  setTimeout: (run: () => void, ms: number) => unknown
  clearTimeout: (timer: unknown) => void
  /** Missing in Node.js before 22, unless the application brings one. */
  WebSocket: SocketConstructor | undefined
  fetch: typeof fetch | undefined
  BroadcastChannel: typeof BroadcastChannel | undefined
  /** Outlives the page, where there is one. */
  storage: Pick<Storage, 'getItem' | 'setItem'> | undefined
  /** What addresses are relative to. */
  base: string | undefined
  /** Calls `run` on each such event until the returned function is called. */
  listen: (event: WorldEvent, run: () => void) => () => void
}

/** The world as it is, except for what the caller brings. */
export function environment (own: Partial<Environment> = {}): Environment {
  const world = globalThis as Partial<typeof globalThis>
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: timer => { clearTimeout(timer as ReturnType<typeof setTimeout>) },
    WebSocket: world.WebSocket,
    fetch: world.fetch?.bind(globalThis),
    BroadcastChannel: world.BroadcastChannel,
    storage: storage(),
    base: world.location?.href,
    listen,
    ...own
  }
}

function storage (): Storage | undefined {
  try {
    return (globalThis as Partial<typeof globalThis>).localStorage
  } catch {
    // The user allows none.
    return undefined
  }
}

function listen (event: WorldEvent, run: () => void): () => void {
  const { window, document } = globalThis as Partial<typeof globalThis>
  if (event === 'visible') {
    if (document === undefined) return () => {}
    const seen = (): void => { if (document.visibilityState === 'visible') run() }
    document.addEventListener('visibilitychange', seen)
    return () => { document.removeEventListener('visibilitychange', seen) }
  }
  if (window === undefined) return () => {}
  window.addEventListener(event, run)
  return () => { window.removeEventListener(event, run) }
}

/** Timers by name. Setting one again replaces it; nothing runs after `clear`. */
export class Timers<Name extends string> {
  #environment: Environment
  #timers = new Map<Name, unknown>()

  constructor (environment: Environment) {
    this.#environment = environment
  }

  set (name: Name, ms: number, run: () => void): void {
    this.stop(name)
    this.#timers.set(name, this.#environment.setTimeout(() => {
      this.#timers.delete(name)
      run()
    }, ms))
  }

  has (name: Name): boolean {
    return this.#timers.has(name)
  }

  stop (name: Name): void {
    this.#environment.clearTimeout(this.#timers.get(name))
    this.#timers.delete(name)
  }

  clear (): void {
    for (const name of [...this.#timers.keys()]) this.stop(name)
  }
}
