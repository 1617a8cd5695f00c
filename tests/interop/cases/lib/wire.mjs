// Requests whose path goes out byte for byte: URL classes resolve dots and recode escapes before they send.

import { request } from 'node:http'
import { RawClient } from '../../lib/client.mjs'

/** A WebSocket upgrade at exactly this path. Rejects with `error.status` if it is refused. */
export function upgradeAt (server, path, options = {}) {
  const finishRequest = req => {
    req.path = path
    req.end()
  }
  return RawClient.connect(`${server.wsUrl}/placeholder`, { ...options, options: { finishRequest } })
}

/** A GET of exactly this path: {status, body}. */
export function getAt (server, path) {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port: server.port, path, agent: false }, response => {
      const chunks = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }))
    })
    req.on('error', reject)
    req.end()
  })
}
