// Gets a connection and keeps one: attempts, waiting, the change to a better way, and the end of it.

import { type Address, withParams } from './address.js'
import { Attempt } from './attempt.js'
import { Backoff } from './backoff.js'
import { Choice } from './choice.js'
import { Credentials } from './credentials.js'
import { type End, isFinal, LATER, LOST, MALFORMED, RESTART, SILENT, UNAUTHORIZED } from './ends.js'
import { type Environment, Timers } from './environment.js'
import { deferred } from './links/deferred.js'
import { type Link, type LinkEvents, type Transport, TRANSPORTS, type Urgency } from './links/link.js'
import { SessionLink } from './links/session.js'
import { openWebSocket } from './links/websocket.js'
import type { QuireOptions, Status } from './options.js'
import { Watch } from './watch.js'
import { decode, type Message } from './wire.js'

/** So many refusals in a row of credentials that were fresh each time are final. */
const REFUSALS = 3

type State =
  | { is: 'off' }
  | { is: 'trying', attempt: Attempt }
  /** `better`: a better way is being tried beside it. */
  | { is: 'on', link: Link, better?: Attempt }
  | { is: 'waiting' }

export interface ConnectorEvents {
  /** What every connection begins with. */
  firstFrames: () => Uint8Array[]
  /** There is a new connection. `moves`: another one worked until now, and is closed when this returns. */
  began: (moves: boolean) => void
  messages: (messages: Message[]) => void
  status: (status: Status) => void
  transport: (transport: Transport) => void
  /** A connection ended; `null` if by us. */
  lost: (end: End | null) => void
  /** An attempt failed. */
  failed: (end: End) => void
  /** Nothing more is tried. */
  refused: (end: End) => void
  /** The server is to be asked for a sign of life. */
  ask: () => void
}

export class Connector {
  readonly credentials: Credentials
  #environment: Environment
  #address: Address
  #params: Record<string, string>
  #events: ConnectorEvents
  #choice: Choice
  #backoff: Backoff
  #watch: Watch
  #timers: Timers<'again' | 'better'>
  #state: State = { is: 'off' }
  #refusal: End | undefined
  #refusals = 0
  #listening: Array<() => void>

  constructor (environment: Environment, address: Address, options: QuireOptions, events: ConnectorEvents) {
    this.#environment = environment
    this.#address = address
    this.#params = options.params ?? {}
    this.#events = events
    this.credentials = new Credentials(options)
    this.#choice = new Choice(environment, address.server, options.transports ?? TRANSPORTS)
    this.#backoff = new Backoff(environment.random)
    this.#timers = new Timers(environment)
    this.#watch = new Watch(environment, {
      ask: events.ask,
      dead: () => { this.#lost({ code: SILENT, reason: 'nothing was heard from the server' }) },
      woke: () => { this.#hurry() }
    })
    this.#watch.start()
    const { listen } = environment
    this.#listening = [
      listen('online', () => { this.#online() }),
      // Not an end by itself: the server may be on this machine.
      listen('offline', () => { this.#watch.doubt() }),
      listen('visible', () => { this.#hurry() }),
      listen('pagehide', () => { this.#suspend() }),
      listen('pageshow', () => { if (this.#state.is === 'waiting') this.#connect() })
    ]
  }

  get status (): Status {
    switch (this.#state.is) {
      case 'on': return 'connected'
      case 'trying': return 'connecting'
      case 'off':
      case 'waiting': return 'disconnected'
    }
  }

  /** Whether a connection is wanted. */
  get isWanted (): boolean { return this.#state.is !== 'off' }
  get transport (): Transport | undefined { return this.#state.is === 'on' ? this.#state.link.transport : undefined }
  get refusal (): End | undefined { return this.#refusal }

  connect (): void {
    if (this.#state.is !== 'off') return
    this.#refusal = undefined
    this.#refusals = 0
    this.#backoff.reset()
    this.#connect()
  }

  disconnect (): void {
    const state = this.#state
    if (state.is === 'off') return
    this.#timers.clear()
    if (state.is === 'trying') state.attempt.stop()
    if (state.is === 'on') {
      state.better?.stop()
      state.link.close()
    }
    this.#become({ is: 'off' })
    if (state.is === 'on') this.#events.lost(null)
  }

  /** Disconnects for good. */
  destroy (): void {
    this.disconnect()
    this.#watch.stop()
    this.#timers.clear()
    for (const stop of this.#listening) stop()
  }

  send (frame: Uint8Array, urgency: Urgency): void {
    if (this.#state.is !== 'on') return
    this.#state.link.send(frame, urgency)
    if (urgency === 'edit') this.#watch.sent()
  }

  /** The server has let this user in: former refusals and failures do not count any more. */
  admitted (): void {
    this.#refusals = 0
    this.credentials.accepted()
    this.#backoff.reset()
  }

  #connect (): void {
    this.#timers.stop('again')
    this.credentials.renew()
    const attempt = new Attempt(this.#choice.plan(), this.#open, this.#environment, {
      won: link => this.#won(link),
      lost: end => {
        this.#choice.failed()
        this.#events.failed(end)
        this.#retry(end)
      }
    })
    this.#become({ is: 'trying', attempt })
  }

  /** Begins a link. What it shows to the server is its own: a ticket opens one. */
  #open = (transport: Transport, events: LinkEvents): Link => {
    const opening = { events, frames: this.#events.firstFrames }
    return deferred(transport, events, this.credentials.next(), ({ query, headers }) => transport === 'websocket'
      ? openWebSocket(withParams(this.#address.socket, { ...this.#params, ...query }), this.#environment, opening)
      : new SessionLink(transport, {
        open: withParams(this.#address.sessions, { ...this.#params, ...(headers['authorization'] === undefined ? query : {}) }),
        headers,
        session: this.#address.session
      }, this.#environment, opening))
  }

  /** A link works: it is the connection from here on. */
  #won (link: Link): LinkEvents {
    const before = this.#state
    this.#become({ is: 'on', link })
    this.#watch.connected()
    this.#events.began(before.is === 'on')
    if (before.is === 'on') before.link.close()
    this.#used(link.transport)
    const isCurrent = (): boolean => this.#state.is === 'on' && this.#state.link === link
    return {
      open: () => {},
      heard: () => { if (isCurrent()) this.#watch.heard() },
      frame: frame => { if (isCurrent()) this.#take(frame) },
      moved: transport => { if (isCurrent()) this.#used(transport) },
      ended: end => { if (isCurrent()) this.#lost(end) }
    }
  }

  #take (frame: Uint8Array): void {
    let messages: Message[]
    try {
      messages = decode(frame)
    } catch (error) {
      this.#lost({ code: MALFORMED, reason: `the server sent what cannot be read: ${String(error)}` })
      return
    }
    this.#events.messages(messages)
  }

  #used (transport: Transport): void {
    this.#choice.worked(transport)
    this.#events.transport(transport)
    this.#planBetter(transport)
  }

  #planBetter (transport: Transport): void {
    const wait = this.#choice.better(transport)
    if (wait === undefined) this.#timers.stop('better')
    else this.#timers.set('better', wait, () => { this.#tryBetter() })
  }

  /** Tries a WebSocket beside the connection that works. The change is made when it works, not before. */
  #tryBetter (): void {
    const state = this.#state
    if (state.is !== 'on' || state.better) return
    this.#timers.stop('better')
    this.credentials.renew()
    state.better = new Attempt([{ transport: 'websocket', after: 0 }], this.#open, this.#environment, {
      won: link => this.#won(link),
      lost: () => {
        delete state.better
        if (this.#state === state) this.#planBetter(state.link.transport)
      }
    })
  }

  #become (state: State): void {
    const before = this.status
    this.#state = state
    if (state.is !== 'on') {
      this.#watch.disconnected()
      this.#timers.stop('better')
    }
    if (before !== this.status) this.#events.status(this.status)
  }

  /** The connection ended. */
  #lost (end: End): void {
    if (this.#state.is !== 'on') return
    const { link, better } = this.#state
    link.close()
    better?.stop()
    this.#events.lost(end)
    this.#retry(end)
  }

  #retry (end: End): void {
    if (end.code === UNAUTHORIZED) {
      this.#refusals++
      if (!this.credentials.refused() || this.#refusals >= REFUSALS) return this.#refuse(end)
    }
    if (isFinal(end)) return this.#refuse(end)
    // That a session is lost is what everybody hears whose server went without a word and is there again.
    if (end.code === RESTART || end.code === LATER || end.code === LOST) this.#backoff.widen()
    this.#become({ is: 'waiting' })
    this.#timers.set('again', this.#backoff.next(end.retryAfter), () => { this.#connect() })
  }

  #refuse (end: End): void {
    this.#refusal = end
    this.#become({ is: 'off' })
    this.#events.refused(end)
  }

  /** The page goes, perhaps to come back. */
  #suspend (): void {
    if (this.#state.is === 'off') return
    this.disconnect()
    this.#become({ is: 'waiting' })
  }

  /** There is a network again, perhaps another one: what was blocked may be open. */
  #online (): void {
    this.#choice.moved()
    const { transport } = this
    if (transport !== undefined && this.#choice.better(transport) !== undefined) this.#tryBetter()
    this.#hurry()
  }

  /** The network, or the user, is back: now is a better time than later. */
  #hurry (): void {
    if (this.#state.is === 'waiting') {
      this.#backoff.reset()
      this.#connect()
    } else {
      this.#watch.doubt()
    }
  }
}
