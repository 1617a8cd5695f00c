// Stock y-sweet clients: a yjs document and the unmodified provider, with waiting built in.

import { YSweetProvider } from '@y-sweet/client'
import { DocumentManager } from '@y-sweet/sdk'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { differences } from './compare.mjs'
import { waitFor } from './wait.mjs'

/** The SDK of a backend, with the server's token if it has one. */
export function manager (server, token) {
  return new DocumentManager(`ys://${token ? `${token}@` : ''}127.0.0.1:${server.port}`)
}

/** Opens a client. @param {{ doc?: Y.Doc, token?: () => Promise<object>, t?: { after: Function } }} [options] */
export function openYSweet (server, name, options = {}) {
  const client = new YSweetClient(server, name, options)
  options.t?.after(() => client.destroy())
  return client
}

export class YSweetClient {
  connections = 0
  closes = []
  events = []

  constructor (server, name, { doc = new Y.Doc(), token = () => manager(server).getOrCreateDocAndToken(name), provider = {} } = {}) {
    this.doc = doc
    this.name = name
    const client = this
    class Socket extends WebSocket {
      constructor (url) {
        super(url)
        client.ws = this
        this.on('error', () => {})
        this.on('open', () => { client.connections++ })
        this.on('close', (code, reason) => client.closes.push({ code, reason: reason.toString() }))
      }
    }
    this.provider = new YSweetProvider(token, name, doc, { WebSocketPolyfill: Socket, showDebuggerLink: false, ...provider })
    this.awareness = this.provider.awareness
    this.provider.on('connection-status', status => this.events.push(status))
    this.provider.on('local-changes', has => this.events.push(has ? 'unsaved' : 'saved'))
  }

  get clientId () { return this.doc.clientID }
  get synced () { return this.provider.status === 'connected' }
  get saved () { return this.synced && !this.provider.hasLocalChanges }
  text (name = 'text') { return this.doc.getText(name) }
  /** Tears the connection without a close frame; the provider reconnects by itself. */
  drop () { this.ws?.terminate() }

  waitSynced (deadline = 10_000) { return waitFor(() => this.synced, deadline, () => `the first sync of ${this.describe()}`) }
  waitSaved (deadline = 15_000) { return waitFor(() => this.saved, deadline, () => `everything saved at ${this.describe()}`) }
  waitConfirmed (deadline) { return this.waitSaved(deadline) }
  waitEqual (other, deadline = 10_000) {
    const doc = other.doc ?? other
    return waitFor(() => differences(this.doc, doc).length === 0, deadline, () => `equal documents: ${JSON.stringify(differences(this.doc, doc)).slice(0, 2_000)}`)
  }

  others () { return new Map([...this.awareness.getStates()].filter(([id]) => id !== this.clientId)) }
  describe () { return `y-sweet client of ${this.name}, events: ${this.events.slice(-12).join(' ')}` }

  destroy () {
    // Ends its loop of attempts; `destroy` alone does not.
    const never = () => new Promise(() => {})
    Object.assign(this.provider, { connect: async () => {}, ensureClientToken: never, attemptToConnect: never })
    this.provider.destroy()
    this.awareness.destroy()
    this.doc.destroy()
  }
}
