// Stock clients: a yjs document and an unmodified y-websocket provider, with waiting built in.

import * as awarenessProtocol from 'y-protocols/awareness'
import { WebsocketProvider as Provider3 } from 'y-websocket'
import { WebsocketProvider as Provider2 } from 'y-websocket-2'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { differences } from './compare.mjs'
import * as frames from './frames.mjs'
import { waitFor } from './wait.mjs'

export { waitFor, never, within } from './wait.mjs'
export { RawClient, documentUrl } from './raw.mjs'
export { compare, differences, content, passiveDoc, documentOf, stateVector, deletes } from './compare.mjs'

// Every provider listens for the end of the process; dozens of them are no leak here.
process.setMaxListeners(0)

/**
 * @typedef {object} ClientOptions
 * @property {2 | 3} [version] y-websocket 2.1.0 or 3.1.0 (default)
 * @property {'/ws' | ''} [prefix] which of the two addresses; default /ws
 * @property {boolean} [raw] take the name as it is, as the provider itself does; default: percent-encoded
 * @property {Y.Doc} [doc] a document with content; default a new one
 * @property {number} [clientId]
 * @property {boolean} [connect] default true
 * @property {Record<string, string>} [params] query parameters, such as a token
 * @property {string[]} [protocols] offered subprotocols
 * @property {Record<string, string>} [headers] HTTP headers of the upgrade
 * @property {boolean} [presence] false: no awareness state at all
 * @property {object} [provider] further options of the provider
 * @property {{ after: (fn: () => unknown) => void }} [t] a test context: the client is destroyed after that test
 */

/** Opens a stock client on a server (anything with `wsUrl`: a Server or a Cutter). @param {ClientOptions} options */
export function openClient (server, name, options = {}) {
  const client = new StockClient(server, name, options)
  options.t?.after(() => client.destroy())
  return client
}

export class StockClient {
  /** How often a socket has opened. */
  connections = 0
  /** {code, reason} of every close the provider reported; null for its own. */
  closes = []
  /** Provider events in order, as short texts. */
  events = []
  /** {code, reason} if the provider has given up for good (3.1.0 only). */
  ended = null
  /** Up to this clock of its own the server has confirmed its insertions (by sending them back after they were stored). */
  confirmedClock = 0

  constructor (server, name, options = {}) {
    const { version = 3, prefix = '/ws', raw = false, doc = new Y.Doc(), clientId, connect = true, params = {}, protocols = [], headers = {}, presence = true } = options
    this.version = version
    this.doc = doc
    if (clientId !== undefined) doc.clientID = clientId
    this.awareness = new awarenessProtocol.Awareness(doc)
    if (!presence) this.awareness.setLocalState(null)
    const client = this
    class Socket extends WebSocket {
      constructor (url, offered) {
        super(url, offered, { headers, maxPayload: 2 ** 30 })
        this.on('message', data => client.#noteConfirmation(data))
        // The provider detaches its handlers when it gives a socket up; a late error must not end the test process.
        this.on('error', () => {})
      }
    }
    const Provider = version === 2 ? Provider2 : Provider3
    this.provider = new Provider(server.wsUrl + prefix, raw ? name : encodeURIComponent(name), doc,
      { connect: false, WebSocketPolyfill: Socket, disableBc: true, awareness: this.awareness, params, protocols, ...options.provider })
    this.provider.on('status', ({ status }) => {
      if (status === 'connected') this.connections++
      this.events.push(`status:${status}`)
    })
    this.provider.on('sync', state => this.events.push(`sync:${state}`))
    this.provider.on('connection-close', event => {
      this.closes.push(event && { code: event.code, reason: event.reason })
      this.events.push(`close:${event ? event.code : 'own'}`)
    })
    this.provider.on('closed', close => { this.ended = close })
    if (connect) this.provider.connect()
  }

  #noteConfirmation (data) {
    for (const message of frames.decode(new Uint8Array(data))) {
      if (message.kind !== 'update' && message.kind !== 'step2') continue
      for (const { id, length, constructor } of Y.decodeUpdate(message.payload).structs) {
        if (id.client === this.clientId && constructor !== Y.Skip) this.confirmedClock = Math.max(this.confirmedClock, id.clock + length)
      }
    }
  }

  get clientId () { return this.doc.clientID }
  get synced () { return this.provider.synced }
  get connected () { return this.provider.wsconnected }
  text (name = 'text') { return this.doc.getText(name) }

  connect () { this.provider.connect() }
  /** A clean leave; the document stays and may be edited and connected again. */
  disconnect () { this.provider.disconnect() }
  /** Tears the socket without a close frame; the provider reconnects by itself. */
  drop () { this.provider.ws?.terminate() }

  waitSynced (deadline = 10_000) {
    return waitFor(() => this.provider.synced, deadline, () => `the first sync of client ${this.clientId}; events: ${this.events.slice(-12).join(' ')}`)
  }

  /** Waits until everything this client has inserted is confirmed. (Deletions alone are not looked at.) */
  waitConfirmed (deadline = 15_000) {
    const clock = Y.getState(this.doc.store, this.clientId)
    return waitFor(() => this.confirmedClock >= clock, deadline, () => `the confirmation of clock ${clock} (now ${this.confirmedClock}) of client ${this.clientId}`)
  }

  /** Waits until this client's document equals another's. */
  waitEqual (other, deadline = 10_000, options) {
    const doc = other.doc ?? other
    return waitFor(() => differences(this.doc, doc, options).length === 0, deadline,
      () => `equal documents: ${JSON.stringify(differences(this.doc, doc, options)).slice(0, 2_000)}`)
  }

  /** The presence states of the others: id -> state. */
  others () {
    return new Map([...this.awareness.getStates()].filter(([id]) => id !== this.clientId))
  }

  destroy () {
    this.provider.destroy()
    this.awareness.destroy()
    this.doc.destroy()
  }
}

/** Waits until all these clients hold the same document at the same time. */
export async function waitSettled (clients, deadline = 15_000, options) {
  const [first, ...rest] = clients
  const other = () => rest.find(client => differences(first.doc, client.doc, options).length > 0)
  await waitFor(() => other() === undefined, deadline,
    () => `equal documents: ${JSON.stringify(differences(first.doc, other()?.doc ?? first.doc, options)).slice(0, 2_000)}`)
}

/** What the server holds: a fresh stock client's document after its first sync. The client is destroyed. */
export async function serverCopy (server, name, { deadline = 15_000, ...options } = {}) {
  const client = new StockClient(server, name, options)
  try {
    await client.waitSynced(deadline)
    const doc = new Y.Doc()
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(client.doc))
    return doc
  } finally {
    client.destroy()
  }
}
