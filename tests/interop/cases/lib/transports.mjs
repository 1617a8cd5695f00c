// Every way a stock client reaches a document. A case that must hold on every transport loops over this list.

import { openClient } from '../../lib/client.mjs'

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

/** The transport of the i-th of many clients. */
export const transportOf = i => transports[i % transports.length]
