// Every way a stock client reaches a document. A case that must hold on every transport loops over this list.

import { openClient } from '../../lib/client.mjs'
import { openQuire } from '../../lib/quire.mjs'

// Every provider listens for the end of the process, and a case may hold very many of them.
process.setMaxListeners(0)

/**
 * @typedef {object} Transport
 * @property {string} name
 * @property {(server: object, doc: string, options?: object) => import('../../lib/client.mjs').StockClient} open
 */

/** @type {Transport[]} */
export const transports = [
  { name: 'WebSocket, y-websocket 3.1.0 at /ws/{doc}', open: (server, doc, options) => openClient(server, doc, { version: 3, prefix: '/ws', ...options }) },
  { name: 'WebSocket, y-websocket 2.1.0 at /{doc}', open: (server, doc, options) => openClient(server, doc, { version: 2, prefix: '', ...options }) }
]

/** The ways of the package of this repository, each alone. */
export const quireTransports = ['websocket', 'sse', 'poll'].map(transport => ({
  name: { websocket: 'WebSocket', sse: 'SSE and POST', poll: 'long poll and POST' }[transport] + ', quire-client',
  open: (server, doc, options) => openQuire(server, doc, { transports: [transport], ...options })
}))

/** Every way there is. */
export const allTransports = [...transports, ...quireTransports]

/** The transport of the i-th of many stock clients. */
export const transportOf = i => transports[i % transports.length]
