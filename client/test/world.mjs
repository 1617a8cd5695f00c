// A world for tests: time that is told to pass, sockets without a network, no chance.

/** @returns an environment whose time moves by `pass`, with what it holds open for the asking */
export function world ({ random = () => 0.5, socket, fetch, storage } = {}) {
  let now = 1_000_000
  let id = 0
  const timers = new Map()
  const listeners = new Map()
  const sockets = []
  const self = {
    timers,
    sockets,
    listeners,
    get now () { return now },
    /** Lets time pass, timers run in their order. `frozen`: the clock jumps and nothing runs on the way, as when a lid is closed. */
    async pass (ms, { frozen = false } = {}) {
      const end = now + ms
      if (frozen) now = end
      for (;;) {
        await settle()
        const [next] = [...timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])
        if (!next) break
        now = Math.max(now, next[1].at)
        timers.delete(next[0])
        next[1].run()
      }
      now = end
      await settle()
    },
    say (event) { for (const run of [...(listeners.get(event) ?? [])]) run() },
    environment: {
      now: () => now,
      random,
      setTimeout (run, ms) {
        timers.set(++id, { run, at: now + Math.max(0, ms) })
        return id
      },
      clearTimeout (timer) { timers.delete(timer) },
      WebSocket: socket === null ? undefined : class extends FakeSocket {
        constructor (url, protocols) {
          super(url, protocols)
          sockets.push(this)
          socket?.(this)
        }
      },
      fetch,
      BroadcastChannel: undefined,
      storage,
      base: undefined,
      listen (event, run) {
        listeners.set(event, [...(listeners.get(event) ?? []), run])
        return () => listeners.set(event, listeners.get(event).filter(other => other !== run))
      }
    }
  }
  return self
}

/** Lets promises settle. */
export async function settle () {
  for (let i = 0; i < 20; i++) await Promise.resolve()
  await new Promise(resolve => setImmediate(resolve))
}

export class FakeSocket {
  sent = []
  closed = false
  constructor (url, protocols) {
    this.url = url
    this.protocols = protocols
  }

  send (bytes) { this.sent.push(new Uint8Array(bytes)) }
  close () {
    this.closed = true
    queueMicrotask(() => this.onclose?.({ code: 1005, reason: '' }))
  }

  // What the other side does.
  open () { this.onopen?.({}) }
  receive (frame) { this.onmessage?.({ data: frame.slice().buffer }) }
  end (code, reason = '') {
    this.closed = true
    this.onclose?.({ code, reason })
  }
}

export function memory () {
  const map = new Map()
  return { map, getItem: key => map.get(key) ?? null, setItem: (key, value) => { map.set(key, value) } }
}
