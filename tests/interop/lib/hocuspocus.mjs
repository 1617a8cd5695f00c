// Stock Hocuspocus clients: a yjs document and an unmodified provider of version 2, 3 or 4, with waiting built in.

import { HocuspocusProvider as Provider4, HocuspocusProviderWebsocket as Socket4 } from '@hocuspocus/provider'
import { HocuspocusProvider as Provider2, HocuspocusProviderWebsocket as Socket2 } from 'hocuspocus-provider-2'
import { HocuspocusProvider as Provider3, HocuspocusProviderWebsocket as Socket3 } from 'hocuspocus-provider-3'
import { WebSocket } from 'ws'
import * as awarenessProtocol from 'y-protocols/awareness'
import * as Y from 'yjs'
import { differences } from './compare.mjs'
import { waitFor } from './wait.mjs'

export const VERSIONS = [4, 3, 2]

const PROVIDERS = { 2: [Provider2, Socket2], 3: [Provider3, Socket3], 4: [Provider4, Socket4] }

/**
 * A socket that several clients may share.
 * @param {{ version?: 2 | 3 | 4, path?: string, t?: { after: Function }, socket?: object, headers?: Record<string, string> }} [options]
 *   `socket`: further options of the provider's socket
 */
export function openSocket (server, { version = 4, path = '', t, headers = {}, socket = {} } = {}) {
  const [, Socket] = PROVIDERS[version]
  const made = { version, opened: 0, closes: [], frames: [] }
  class Recorded extends WebSocket {
    constructor (url) {
      super(url, { headers, maxPayload: 2 ** 30 })
      // The provider detaches its handlers when it gives a socket up; a late error must not end the test process.
      this.on('error', () => {})
      this.on('open', () => { made.opened++ })
      this.on('close', (code, reason) => made.closes.push({ code, reason: reason.toString(), at: performance.now() }))
      this.on('message', data => made.frames.push(new Uint8Array(data)))
    }
  }
  made.provider = new Socket({ url: server.wsUrl + path, WebSocketPolyfill: Recorded, ...socket })
  made.destroy = () => {
    made.provider.destroy()
    // Version 3 may have an attempt planned, which nothing cancels.
    made.provider.connect = async () => {}
  }
  /** Tears the connection without a close frame; the provider reconnects by itself. */
  made.drop = () => made.provider.webSocket?.terminate()
  t?.after(made.destroy)
  return made
}

/**
 * Opens a client for a document.
 * @param {{ version?: 2 | 3 | 4, socket?: ReturnType<typeof openSocket>, path?: string, token?: string | (() => string), doc?: Y.Doc,
 *   presence?: boolean, provider?: object, t?: { after: Function } }} [options] without `socket` it has one of its own
 */
export function openHocuspocus (server, name, options = {}) {
  const client = new HocuspocusClient(server, name, options)
  options.t?.after(() => client.destroy())
  return client
}

export class HocuspocusClient {
  /** Provider events in order, as short texts. */
  events = []
  /** Reasons of refusals. */
  refusals = []
  /** The scopes it was given. */
  scopes = []
  /** Reasons for which this document, or its socket, was closed to it. */
  closes = []
  stateless = []
  /** Every value of its count of changes that are not saved. */
  counts = []

  constructor (server, name, { version = 4, socket, path, token = null, doc = new Y.Doc(), clientId, presence = true, headers, provider = {} } = {}) {
    if (clientId !== undefined) doc.clientID = clientId
    this.name = name
    this.doc = doc
    this.version = socket?.version ?? version
    this.ownsSocket = socket === undefined
    this.socket = socket ?? openSocket(server, { version, path, headers })
    this.awareness = presence ? new awarenessProtocol.Awareness(doc) : null
    const [Provider] = PROVIDERS[this.version]
    const note = text => this.events.push(text)
    const settings = {
      name,
      document: doc,
      awareness: this.awareness,
      websocketProvider: this.socket.provider,
      token,
      onAuthenticated: () => { this.scopes.push(this.provider.authorizedScope); note(`authenticated:${this.provider.authorizedScope}`) },
      onAuthenticationFailed: ({ reason }) => { this.refusals.push(reason); note(`refused:${reason}`) },
      onSynced: ({ state }) => note(`synced:${state}`),
      onClose: ({ event }) => { this.closes.push(event); note(`close:${event.code}:${event.reason}`) },
      onStateless: ({ payload }) => this.stateless.push(payload),
      ...(this.version === 2 ? { preserveConnection: !this.ownsSocket } : {}),
      ...provider
    }
    this.provider = new Provider(settings)
    this.provider.on('unsyncedChanges', () => this.counts.push(this.provider.unsyncedChanges))
    if (this.version !== 2 && !this.provider.isAttached) this.provider.attach()
  }

  get clientId () { return this.doc.clientID }
  get synced () { return this.provider.synced }
  get saved () { return this.synced && !this.provider.hasUnsyncedChanges }
  get connections () { return this.socket.opened }
  text (name = 'text') { return this.doc.getText(name) }
  drop () { this.socket.drop() }

  waitSynced (deadline = 10_000) { return waitFor(() => this.synced, deadline, () => `the first sync of ${this.describe()}`) }
  /** Waits until the client shows that everything is saved. */
  waitSaved (deadline = 15_000) { return waitFor(() => this.saved, deadline, () => `everything saved at ${this.describe()}`) }
  waitConfirmed (deadline) { return this.waitSaved(deadline) }
  waitEqual (other, deadline = 10_000) {
    const doc = other.doc ?? other
    return waitFor(() => differences(this.doc, doc).length === 0, deadline, () => `equal documents: ${JSON.stringify(differences(this.doc, doc)).slice(0, 2_000)}`)
  }

  others () { return new Map([...this.awareness.getStates()].filter(([id]) => id !== this.clientId)) }
  describe () { return `provider ${this.version} of ${this.name}, unsynced ${this.provider.unsyncedChanges}; events: ${this.events.slice(-12).join(' ')}` }

  destroy () {
    this.provider.destroy()
    if (this.ownsSocket) this.socket.destroy()
    this.doc.destroy()
  }
}
