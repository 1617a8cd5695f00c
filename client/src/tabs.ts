// Tabs of one browser that show the same document to the same person tell each other what happens, also without a server.
//
// Everybody on the channel gets everything, so its name holds the person: who is refused by the server must not learn from
// another tab what it refused. For the same reason nobody is on it before the server has let this tab in.

import type { Environment } from './environment.js'

type TabMessage =
  /** A tab has come: what has it not? */
  | { type: 'hello', vector: Uint8Array, answer: boolean }
  /** `carried`: its tab takes it to the server by itself. */
  | { type: 'update', update: Uint8Array, carried: boolean }
  | { type: 'awareness', update: Uint8Array }

export interface TabsEvents {
  vector: () => Uint8Array
  /** What a tab with this state vector lacks. */
  diff: (vector: Uint8Array) => Uint8Array
  /** Whether what is known here is on its way to the server from here. */
  carries: () => boolean
  /** The presence of this tab; `undefined` if it has none. */
  presence: () => Uint8Array | undefined
  update: (update: Uint8Array, carried: boolean) => void
  awareness: (update: Uint8Array) => void
}

export class Tabs {
  #channel: BroadcastChannel | undefined
  #events: TabsEvents

  constructor (events: TabsEvents) {
    this.#events = events
  }

  get isOpen (): boolean {
    return this.#channel !== undefined
  }

  open (environment: Environment, server: string, name: string, identity: string): void {
    if (this.#channel || environment.BroadcastChannel === undefined) return
    const channel = new environment.BroadcastChannel(`quire:${JSON.stringify([server, name, identity])}`)
    channel.onmessage = ({ data }: MessageEvent<TabMessage>) => { this.#receive(data) }
    this.#channel = channel
    this.#hello(true)
  }

  close (): void {
    if (this.#channel) this.#channel.onmessage = null
    this.#channel?.close()
    this.#channel = undefined
  }

  update (update: Uint8Array, carried: boolean): void {
    this.#post({ type: 'update', update, carried })
  }

  awareness (update: Uint8Array): void {
    this.#post({ type: 'awareness', update })
  }

  #post (message: TabMessage): void {
    this.#channel?.postMessage(message)
  }

  #hello (answer: boolean): void {
    this.#post({ type: 'hello', vector: this.#events.vector(), answer })
    const presence = this.#events.presence()
    if (presence) this.awareness(presence)
  }

  #receive (message: TabMessage): void {
    switch (message.type) {
      case 'hello':
        // What the other lacks may be on its way to it from the server as well; taking it twice does no harm.
        this.update(this.#events.diff(message.vector), this.#events.carries())
        if (message.answer) this.#hello(false)
        break
      case 'update':
        this.#events.update(message.update, message.carried)
        break
      case 'awareness':
        this.#events.awareness(message.update)
        break
    }
  }
}

/** Whose token this is, if it is one that says so (a JWT with `sub`). Nothing is verified: the server does that. */
export function subject (token: string): string | undefined {
  try {
    const payload = (token.split('.')[1] as string).replaceAll('-', '+').replaceAll('_', '/')
    const { sub } = JSON.parse(atob(payload)) as { sub?: unknown }
    return typeof sub === 'string' ? sub : undefined
  } catch {
    return undefined
  }
}
