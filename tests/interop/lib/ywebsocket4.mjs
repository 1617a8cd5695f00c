// The pre-release of y-websocket 4 (`@y/websocket` on `@y/y` 14), with waiting built in. Its document is of another major version: what it
// holds is shown as a document of yjs 13.

import * as awarenessProtocol from '@y/protocols/awareness'
import { WebsocketProvider } from '@y/websocket'
import * as Y14 from '@y/y'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { differences } from './compare.mjs'
import { waitFor } from './wait.mjs'

export function openYWebsocket4 (server, name, { t } = {}) {
  const client = new YWebsocket4Client(server, name)
  t?.after(() => client.destroy())
  return client
}

class YWebsocket4Client {
  connections = 0

  constructor (server, name) {
    this.inner = new Y14.Doc()
    this.awareness = new awarenessProtocol.Awareness(this.inner)
    class Socket extends WebSocket {
      constructor (url, protocols) {
        super(url, protocols)
        this.on('error', () => {})
      }
    }
    this.provider = new WebsocketProvider(server.wsUrl, encodeURIComponent(name), this.inner, { WebSocketPolyfill: Socket, disableBc: true, awareness: this.awareness })
    this.provider.on('status', ({ status }) => { if (status === 'connected') this.connections++ })
  }

  get clientId () { return this.inner.clientID }
  get synced () { return this.provider.synced }
  text (name = 'text') { return this.inner.get(name) }
  drop () { this.provider.ws?.terminate() }
  get doc () {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, Y14.encodeStateAsUpdate(this.inner))
    return doc
  }

  waitSynced (deadline = 10_000) { return waitFor(() => this.synced, deadline, 'the first sync of @y/websocket') }
  waitEqual (other, deadline = 10_000) {
    const doc = () => other.doc ?? other
    return waitFor(() => differences(this.doc, doc()).length === 0, deadline, () => `equal documents: ${JSON.stringify(differences(this.doc, doc())).slice(0, 2_000)}`)
  }

  destroy () {
    this.provider.destroy()
    this.awareness.destroy()
    this.inner.destroy()
  }
}
