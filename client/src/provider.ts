// Keeps a Yjs document equal to the one on a Quire server.

import { ObservableV2 } from 'lib0/observable'
import * as protocol from 'y-protocols/awareness'
import * as Y from 'yjs'
import { type Address, address } from './address.js'
import { Confirmations } from './confirmations.js'
import { Connector } from './connector.js'
import type { End } from './ends.js'
import { type Environment, environment } from './environment.js'
import { Inbox } from './inbox.js'
import type { Transport } from './links/link.js'
import type { QuireEvents, QuireOptions, Status } from './options.js'
import { type Person, Presence } from './presence.js'
import { Tabs } from './tabs.js'
import * as wire from './wire.js'

export class QuireProvider extends ObservableV2<QuireEvents> {
  readonly doc: Y.Doc
  readonly awareness: protocol.Awareness
  /** The name of the document. */
  readonly name: string

  #environment: Environment
  #address: Address
  #connector: Connector
  #confirmations: Confirmations
  #presence: Presence
  #inbox: Inbox | undefined
  #tabs: Tabs
  #sharesTabs: boolean
  #ownsAwareness: boolean
  #synced = false
  /** The server has asked on this connection, so what it lacked is on its way. */
  #answered = false
  #denied: string | undefined
  #storing = true
  #destroyed = false
  /** Set by `change` just before `update`: the presence is news, not only a sign of life. */
  #presenceIsNews = false

  /**
   * @param server the address of the server: `https://host`, `ws://host:1234`, with a path if a proxy puts it below one
   * @param name the name of the document, as it is; it is encoded here
   * @throws TypeError if an address, a name or an option cannot be used
   */
  constructor (server: string | URL, name: string, doc: Y.Doc, options: QuireOptions = {}) {
    super()
    this.doc = doc
    this.name = name
    this.#environment = environment({ ...(options.WebSocket ? { WebSocket: options.WebSocket } : {}), ...options.environment })
    this.#address = address(server, name, this.#environment.base)
    // What a document holds from the beginning may be new to the server.
    this.#confirmations = new Confirmations(Y.encodeStateVector(doc).length > 1 ? 1 : 0)
    this.#connector = new Connector(this.#environment, this.#address, options, {
      firstFrames: () => this.#firstFrames(),
      began: moves => { this.#began(moves) },
      messages: messages => { this.#receive(messages) },
      status: status => { this.#turned(status) },
      transport: transport => { this.emit('transport', [transport]) },
      lost: end => { this.emit('connection-close', [end, this]) },
      failed: end => { this.emit('connection-error', [end, this]) },
      refused: end => {
        this.#tabs.close()
        this.emit('closed', [end])
      },
      ask: () => { this.#send(wire.query()) }
    })
    this.#ownsAwareness = options.awareness === undefined
    this.awareness = options.awareness ?? new protocol.Awareness(doc)
    // Nobody counts a state of clock 0 as somebody who is there; the next renewal would come 15 s later.
    if (this.#ownsAwareness) this.awareness.setLocalState(this.awareness.getLocalState())
    this.#presence = new Presence(this.awareness, this.#environment, () => { this.emit('typing', []) })
    if (options.notifications !== undefined && options.notifications !== false) {
      this.#inbox = new Inbox(options.notifications === true ? '' : options.notifications, {
        notification: notification => { this.emit('notification', [notification]) },
        read: marks => { this.emit('read', [marks]) },
        inbox: state => { this.emit('inbox', [state]) }
      })
    }
    this.#sharesTabs = options.tabs ?? true
    this.#tabs = new Tabs({
      vector: () => Y.encodeStateVector(doc),
      diff: vector => Y.encodeStateAsUpdate(doc, vector),
      carries: () => this.#answered,
      presence: () => this.awareness.getLocalState() === null ? undefined : this.#ownPresence(),
      update: (update, carried) => { Y.applyUpdate(doc, update, { tabs: this, carried } satisfies TabOrigin) },
      awareness: update => { protocol.applyAwarenessUpdate(this.awareness, update, this) }
    })
    doc.on('update', this.#edited)
    doc.on('destroy', this.#gone)
    this.awareness.on('change', this.#presenceChanged)
    this.awareness.on('update', this.#presenceUpdated)
    if (options.connect ?? true) this.connect()
  }

  /** Where the connection stands. */
  get status (): Status { return this.#connector.status }
  get connected (): boolean { return this.status === 'connected' }
  /** The same as `connected`, by the name that y-websocket has for it. */
  get wsconnected (): boolean { return this.connected }
  /** Whether a connection is wanted. */
  get shouldConnect (): boolean { return this.#connector.isWanted }
  /** Whether the document holds what the server had when this connection began. */
  get synced (): boolean { return this.#synced }
  /** How frames travel; `undefined` without a connection. */
  get transport (): Transport | undefined { return this.#connector.transport }
  /** How many changes made here are not known to be on the server's disk. */
  get unconfirmed (): number { return this.#confirmations.open }
  /** Why edits made here are not taken; `undefined` if they are. */
  get denied (): string | undefined { return this.#denied }
  /** Whether the server's disk takes edits, as far as it has said. */
  get storing (): boolean { return this.#storing }
  /** Why nothing more is tried; `undefined` if that is not so. */
  get refusal (): End | undefined { return this.#connector.refusal }
  /** The address of the document for WebSockets, without its query. */
  get url (): string { return this.#address.socket }

  /** Connects, and stays connected. Also the way back after `closed`. */
  connect (): void {
    if (!this.#destroyed) this.#connector.connect()
  }

  /** Disconnects, and stays so. The document stays and may be edited. */
  disconnect (): void {
    this.#connector.disconnect()
  }

  /** Disconnects for good and lets go of everything. The document stays. */
  override destroy (): void {
    if (this.#destroyed) return
    this.#destroyed = true
    this.#connector.destroy()
    this.#tabs.close()
    this.#presence.destroy()
    this.doc.off('update', this.#edited)
    this.doc.off('destroy', this.#gone)
    this.awareness.off('change', this.#presenceChanged)
    this.awareness.off('update', this.#presenceUpdated)
    if (this.#ownsAwareness) this.awareness.destroy()
    this.emit('destroy', [])
    super.destroy()
  }

  /** Says that somebody types here, to be called on every key; ends by itself 3 s after the last call. */
  setTyping (typing = true): void {
    this.#presence.setTyping(typing)
  }

  /** Tells everybody who is in the document now; takes the right to write. Nothing is stored, and without a connection nobody hears. */
  broadcast (text: string): void {
    this.#connector.send(wire.broadcast(text), 'edit')
  }

  /** Says who is here: any object; tabs with the same `id` are one person. */
  setUser (user: Record<string, unknown>): void {
    this.awareness.setLocalStateField('user', user)
  }

  /** Who is in the document, by the awareness field `user`, and who of them types. */
  get people (): Person[] {
    return this.#presence.people()
  }

  /** Resolves when every change made here is on the server's disk. */
  async whenConfirmed (): Promise<void> {
    if (this.unconfirmed > 0) await new Promise<void>(resolve => { this.once('confirmed', resolve) })
  }

  /** Resolves when the document holds what the server had. */
  async whenSynced (): Promise<void> {
    while (!this.#synced) await new Promise<void>(resolve => { this.once('sync', () => { resolve() }) })
  }

  // --- The connection ---

  #firstFrames (): Uint8Array[] {
    const frames = [wire.step1(Y.encodeStateVector(this.doc))]
    if (this.awareness.getLocalState() !== null) frames.push(wire.awareness(this.#ownPresence()))
    return frames
  }

  #began (moves: boolean): void {
    this.#answered = false
    this.#denied = undefined
    // A server that cannot store says so to each that comes.
    this.#setStoring(true)
    this.#confirmations.restart()
    if (this.#inbox) this.#send(wire.events(this.#inbox.last))
    const presence = this.awareness.getLocalState()
    if (presence === null) return
    // With a newer clock, so that presence moves to the new connection instead of ending with the old one. Otherwise again,
    // since it may have changed after the first frames were made.
    if (moves) this.awareness.setLocalState(presence)
    else this.#connector.send(wire.awareness(this.#ownPresence()), 'presence')
  }

  #turned (status: Status): void {
    if (status !== 'connected') {
      this.#answered = false
      if (this.#synced) this.#forgetOthers()
      this.#setSynced(false)
    }
    this.emit('status', [{ status }])
  }

  #forgetOthers (): void {
    const others = [...this.awareness.getStates().keys()].filter(client => client !== this.doc.clientID)
    protocol.removeAwarenessStates(this.awareness, others, this)
  }

  // --- What goes up ---

  #send (frame: Uint8Array): void {
    this.#connector.send(frame, 'edit')
  }

  #edited = (update: Uint8Array, origin: unknown): void => {
    if (origin === this) return this.emit('update', [update])
    const tab = tabOrigin(origin, this)
    if (tab?.carried === true) return
    this.#confirmations.made()
    this.#send(wire.update(update))
    this.#ask()
    if (tab === undefined && this.#denied === undefined) this.#tabs.update(update, this.#answered)
    this.emit('unconfirmed', [this.unconfirmed])
  }

  /** Asks to be told when everything that was sent is stored. Before the server has asked, not everything was sent. */
  #ask (): void {
    if (!this.#answered) return
    const count = this.#confirmations.ask()
    if (count !== undefined) this.#send(wire.version(count))
  }

  #ownPresence (): Uint8Array {
    return protocol.encodeAwarenessUpdate(this.awareness, [this.doc.clientID])
  }

  #presenceChanged = (): void => { this.#presenceIsNews = true }

  #presenceUpdated = ({ added, updated, removed }: Record<'added' | 'updated' | 'removed', number[]>, origin: unknown): void => {
    const isNews = this.#presenceIsNews
    this.#presenceIsNews = false
    if (origin === this && !removed.includes(this.doc.clientID) && !updated.includes(this.doc.clientID)) return
    if (![...added, ...updated, ...removed].includes(this.doc.clientID)) return
    const presence = this.#ownPresence()
    this.#connector.send(wire.awareness(presence), isNews || origin === this ? 'presence' : 'renewal')
    if (this.#tabs.isOpen) this.#tabs.awareness(presence)
  }

  // --- What comes down ---

  #receive (messages: wire.Message[]): void {
    for (const message of messages) {
      switch (message.type) {
        case 'step1':
          this.#answer(message.vector)
          break
        case 'step2':
          this.#apply(message.update)
          this.#admitted()
          this.#setSynced(true)
          break
        case 'update':
          this.#apply(message.update)
          break
        case 'awareness':
          protocol.applyAwarenessUpdate(this.awareness, message.update, this)
          break
        case 'query':
          this.#connector.send(wire.awareness(this.#ownPresence()), 'presence')
          break
        case 'denied':
          this.#denied = message.reason
          this.emit('denied', [message.reason])
          break
        case 'version':
          this.#confirmed(message.version)
          break
        case 'event':
          this.#inbox?.take(message.json)
          break
        case 'storing':
          this.#setStoring(message.storing)
          break
        case 'broadcast':
          this.emit('broadcast', [message.text])
          break
      }
    }
  }

  #setStoring (storing: boolean): void {
    if (this.#storing === storing) return
    this.#storing = storing
    this.emit('storing', [storing])
  }

  #apply (update: Uint8Array): void {
    try {
      Y.applyUpdate(this.doc, update, this)
    } catch (error) {
      // Most often of an observer of the application; the update is applied all the same, and the connection is fine.
      console.error('quire-client: an update was applied with an error', error)
    }
  }

  #answer (vector: Uint8Array): void {
    const diff = Y.encodeStateAsUpdate(this.doc, vector)
    // What the server lacks may not be ours alone: it may have lost what it never confirmed to others. Now it is up to us.
    if (diff[0] !== 0 && this.unconfirmed === 0) {
      this.#confirmations.made()
      this.emit('unconfirmed', [this.unconfirmed])
    }
    this.#send(wire.step2(diff))
    this.#answered = true
    // The answer holds what may not have been taken before; if it is not taken again, the server says so again.
    this.#denied = undefined
    this.#confirmations.restart()
    this.#ask()
  }

  #confirmed (count: number): void {
    // From then on something was not taken, and no count covers it.
    if (this.#denied !== undefined) return
    const before = this.unconfirmed
    this.#confirmations.confirmed(count)
    this.#ask()
    if (this.unconfirmed === before) return
    this.emit('unconfirmed', [this.unconfirmed])
    if (this.unconfirmed === 0) this.emit('confirmed', [])
  }

  /** The server has let this user in. */
  #admitted (): void {
    this.#connector.admitted()
    const { identity } = this.#connector.credentials
    if (this.#sharesTabs && identity !== undefined) this.#tabs.open(this.#environment, this.#address.server, this.name, identity)
  }

  #setSynced (synced: boolean): void {
    if (synced === this.#synced) return
    this.#synced = synced
    this.emit('sync', [synced])
    this.emit('synced', [synced])
  }

  #gone = (): void => { this.destroy() }
}

/** The origin of what came from another tab. */
interface TabOrigin {
  tabs: QuireProvider
  carried: boolean
}

function tabOrigin (origin: unknown, provider: QuireProvider): TabOrigin | undefined {
  const tab = origin as Partial<TabOrigin> | null | undefined
  return typeof origin === 'object' && tab?.tabs === provider ? tab as TabOrigin : undefined
}
