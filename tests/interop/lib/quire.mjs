// Clients of the package of this repository, with the same handles as the stock clients have.

import { QuireProvider } from 'quire-client'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { differences } from './compare.mjs'
import { waitFor } from './wait.mjs'

/**
 * Opens a client on a server (anything with `url`: a Server or a Cutter).
 * @param {import('./client.mjs').ClientOptions & { transports?: Array<'websocket' | 'sse' | 'poll'>, fetch?: typeof fetch, token?: string }} options
 */
export function openQuire (server, name, options = {}) {
  const client = new QuireClient(server, name, options)
  options.t?.after(() => client.destroy())
  return client
}

export class QuireClient {
  connections = 0
  closes = []
  events = []
  ended = null
  /** HTTP requests made: {at, method, path, status}; `status` is undefined without an answer. */
  requests = []
  /** When an attempt to connect began: the first packet of a WebSocket, or of an HTTP session. */
  attempts = []
  #sockets = new Set()

  constructor (server, name, { doc = new Y.Doc(), clientId, connect = true, transports, presence = true, provider, token, params, environment, fetch: given = fetch } = {}) {
    this.doc = doc
    if (clientId !== undefined) doc.clientID = clientId
    const sockets = this.#sockets
    const { attempts } = this
    class Socket extends WebSocket {
      constructor (url, offered) {
        super(url, offered, { maxPayload: 2 ** 30 })
        attempts.push(performance.now())
        sockets.add(this)
        this.on('close', () => sockets.delete(this))
        this.on('error', () => {})
      }
    }
    this.provider = new QuireProvider(server.url, name, doc, {
      connect: false,
      WebSocket: Socket,
      tabs: false,
      ...(transports ? { transports } : {}),
      ...(token ? { token } : {}),
      ...(params ? { params } : {}),
      ...provider,
      environment: { fetch: this.#recorded(given), ...environment }
    })
    if (!presence) this.provider.awareness.setLocalState(null)
    this.awareness = this.provider.awareness
    this.provider.on('status', ({ status }) => {
      if (status === 'connected') this.connections++
      this.events.push(`status:${status}`)
    })
    for (const name of ['sync', 'transport', 'denied']) this.provider.on(name, value => this.events.push(`${name}:${value}`))
    this.provider.on('connection-close', end => { this.closes.push(end); this.events.push(`close:${end ? end.code : 'own'}`) })
    this.provider.on('connection-error', end => this.events.push(`error:${end.code} ${end.reason}`))
    this.provider.on('closed', end => { this.ended = end })
    if (connect) this.provider.connect()
  }

  #recorded (given) {
    return async (url, init) => {
      const request = { at: performance.now(), method: init.method, path: new URL(url).pathname, status: undefined }
      this.requests.push(request)
      if (request.path.endsWith('/sessions')) this.attempts.push(request.at)
      const response = await given(url, init)
      request.status = response.status
      return response
    }
  }

  get clientId () { return this.doc.clientID }
  get synced () { return this.provider.synced }
  get connected () { return this.provider.connected }
  text (name = 'text') { return this.doc.getText(name) }
  connect () { this.provider.connect() }
  disconnect () { this.provider.disconnect() }
  /** Tears the WebSocket, if that is what it has. */
  drop () { for (const socket of this.#sockets) socket.terminate() }

  waitSynced (deadline = 10_000) {
    return waitFor(() => this.provider.synced, deadline, () => `the first sync; events: ${this.events.slice(-12).join(' ')}`)
  }

  waitConfirmed (deadline = 15_000) {
    return waitFor(() => this.provider.unconfirmed === 0, deadline, () => `confirmation, ${this.provider.unconfirmed} are open; events: ${this.events.slice(-12).join(' ')}`)
  }

  waitEqual (other, deadline = 10_000, options) {
    const doc = other.doc ?? other
    return waitFor(() => differences(this.doc, doc, options).length === 0, deadline,
      () => `equal documents: ${JSON.stringify(differences(this.doc, doc, options)).slice(0, 2_000)}; events: ${this.events.slice(-12).join(' ')}`)
  }

  others () {
    return new Map([...this.awareness.getStates()].filter(([id]) => id !== this.clientId))
  }

  destroy () {
    this.provider.destroy()
    this.doc.destroy()
  }
}
