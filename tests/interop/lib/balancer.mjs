// Plain round-robin balancers on 127.0.0.1.

import { createServer as createHttpServer, request } from 'node:http'
import { createServer, connect } from 'node:net'

/** A balancer that knows nothing but TCP: one server after the other, the next one if it refuses. */
export async function balancer (t, servers) {
  let turn = 0
  const sockets = new Set()
  const listener = createServer({ allowHalfOpen: false }, client => {
    sockets.add(client)
    client.on('error', () => client.destroy())
    client.on('close', () => sockets.delete(client))
    const attempt = left => {
      if (left === 0) { client.destroy(); return }
      const upstream = connect({ port: servers[turn++ % servers.length].port, host: '127.0.0.1' })
      upstream.once('error', () => attempt(left - 1))
      upstream.once('connect', () => {
        upstream.removeAllListeners('error')
        upstream.on('error', () => client.destroy())
        upstream.on('close', () => client.destroy())
        client.on('close', () => upstream.destroy())
        client.pipe(upstream).pipe(client)
      })
    }
    attempt(servers.length)
  })
  await new Promise(resolve => listener.listen(0, '127.0.0.1', resolve))
  t.after(() => { for (const socket of sockets) socket.destroy(); listener.close() })
  const { port } = listener.address()
  return { port, url: `http://127.0.0.1:${port}`, wsUrl: `ws://127.0.0.1:${port}` }
}

/** A balancer that sends each single request to the next server, whatever connection it came by. */
export async function requestBalancer (t, servers) {
  let turn = 0
  const listener = createHttpServer((asked, answer) => {
    const { port } = servers[turn++ % servers.length]
    const onward = request({ host: '127.0.0.1', port, method: asked.method, path: asked.url, headers: asked.headers, agent: false })
    onward.on('response', response => {
      answer.writeHead(response.statusCode, response.headers)
      answer.flushHeaders()
      response.pipe(answer)
      response.on('error', () => answer.destroy())
    })
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    asked.pipe(onward)
  })
  // No WebSockets here.
  listener.on('upgrade', (_asked, socket) => socket.destroy())
  await new Promise(resolve => listener.listen(0, '127.0.0.1', resolve))
  t.after(() => { listener.closeAllConnections(); listener.close() })
  const { port } = listener.address()
  return { port, url: `http://127.0.0.1:${port}`, wsUrl: `ws://127.0.0.1:${port}`, requests: () => turn }
}
