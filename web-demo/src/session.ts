// One visitor's copy of the document and its connection: a pane shows one, two panes have two.

import { QuireProvider, type Transport } from 'quire-client'
import { ObservableV2 } from 'lib0/observable'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Line } from './line.js'
import { changed, distinct, person, type Person } from './person.js'

/** How the connection stands, as far as is known here. */
export type State =
  | { is: 'connecting' }
  | { is: 'on', transport: Transport, denied: string | undefined, storing: boolean }
  /** `cut`: by the visitor's own switch. */
  | { is: 'offline', cut: boolean }
  | { is: 'refused', reason: string }

/** Edits with this origin are not typing. */
export const QUIET = 'quiet'

/** So many of the newest times are kept. */
const TIMES = 40

type Events = {
  /** The state or the number of unconfirmed edits. */
  state: () => void
  /** Somebody came, went, moved, typed. */
  people: () => void
}

export class Session extends ObservableV2<Events> {
  readonly doc = new Y.Doc()
  readonly awareness = new Awareness(this.doc)
  readonly line = new Line()
  readonly name: string
  readonly seat: number
  me: Person
  /** Milliseconds from an edit to the word that it is on the server's disk, newest last. */
  readonly times: number[] = []
  /** Connections that ended, other than by a switch of the transport. */
  reconnects = 0
  #provider: QuireProvider
  #forced: Transport | undefined
  /** A new provider counts what the document holds as one edit; a former one had counted so many more. */
  #more = 0
  /** When each edit was made that is not confirmed. */
  #made: number[] = []
  #hasBeenOn = false
  #hasFailed = false

  /** @param seat 1 for the first pane, 2 for the second: whose name and colour it takes */
  constructor (name: string, seat: number) {
    super()
    this.name = name
    this.seat = seat
    this.me = person(seat)
    this.awareness.setLocalStateField('user', { ...this.me })
    this.#provider = this.#connect()
    this.awareness.on('change', () => {
      this.#keepDistinct()
      this.emit('people', [])
    })
    this.doc.on('update', (_update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
      if (transaction.local && origin !== QUIET && origin !== this.#provider) this.#provider.setTyping()
    })
  }

  get provider (): QuireProvider { return this.#provider }
  get client (): number { return this.doc.clientID }
  /** The only transport that may be used; `undefined`: the best one. */
  get forced (): Transport | undefined { return this.#forced }

  /** How many edits made here are not known to be on the server's disk. */
  get unconfirmed (): number { return this.#provider.unconfirmed + this.#more }

  get state (): State {
    const { refusal, synced, transport, denied, storing } = this.#provider
    if (refusal) return { is: 'refused', reason: refusal.reason }
    if (synced && transport) return { is: 'on', transport, denied, storing }
    if (this.line.isCut) return { is: 'offline', cut: true }
    return this.#hasFailed || this.#hasBeenOn ? { is: 'offline', cut: false } : { is: 'connecting' }
  }

  cut (): void {
    this.line.cut()
    this.emit('state', [])
  }

  restore (): void {
    this.line.restore()
    this.emit('state', [])
  }

  /** Uses this transport and no other, or the best one again. */
  force (transport: Transport | undefined): void {
    if (transport === this.#forced) return
    this.#forced = transport
    this.#more = Math.max(0, this.unconfirmed - 1)
    this.#made = []
    this.#provider.destroy()
    this.#hasBeenOn = false
    this.#hasFailed = false
    this.#provider = this.#connect()
    this.emit('state', [])
  }

  /** Takes another name or colour, and remembers it. */
  become (name: string, color: string): void {
    this.me = changed(this.seat, { name, color })
    this.awareness.setLocalStateField('user', { ...this.me })
  }

  /** Milliseconds to the server and back, over this line. */
  async ping (): Promise<number> {
    const began = performance.now()
    const response = await this.line.fetch(new URL('healthz', document.baseURI), { method: 'GET', cache: 'no-store' })
    await response.arrayBuffer()
    return performance.now() - began
  }

  override destroy (): void {
    this.#provider.destroy()
    this.awareness.destroy()
    this.doc.destroy()
    super.destroy()
  }

  #connect (): QuireProvider {
    const forced = this.#forced
    const { line } = this
    const provider = new QuireProvider(new URL('.', document.baseURI), this.name, this.doc, {
      awareness: this.awareness,
      // Panes and tabs meet on the server only: what one sees of the other has been there.
      tabs: false,
      ...(forced ? { transports: [forced] } : {}),
      environment: {
        WebSocket: line.WebSocket,
        fetch: line.fetch,
        listen: line.listen,
        // What works only because nothing else may be tried is nothing to remember.
        ...(forced ? { storage: undefined } : {})
      }
    })
    const news = (): void => { this.emit('state', []) }
    provider.on('status', news)
    provider.on('denied', news)
    provider.on('storing', news)
    provider.on('transport', news)
    provider.on('closed', news)
    provider.on('sync', synced => {
      this.#hasBeenOn ||= synced
      news()
    })
    provider.on('connection-error', () => {
      this.#hasFailed = true
      news()
    })
    provider.on('connection-close', end => { if (end !== null) this.reconnects++ })
    provider.on('unconfirmed', () => { this.#counted() })
    provider.on('typing', () => { this.emit('people', []) })
    return provider
  }

  #counted (): void {
    const open = this.#provider.unconfirmed
    if (open === 0) this.#more = 0
    const now = performance.now()
    while (this.#made.length < open) this.#made.push(now)
    while (this.#made.length > open) this.times.push(now - (this.#made.shift() as number))
    this.times.splice(0, this.times.length - TIMES)
    this.emit('state', [])
  }

  #keepDistinct (): void {
    const me = distinct(this.me, this.awareness)
    if (me === this.me) return
    this.me = me
    // Within a change of the same awareness; the others first.
    queueMicrotask(() => { this.awareness.setLocalStateField('user', { ...me }) })
  }
}
