// An HTTP proxy of the kinds that networks have: it may block WebSockets, hold event streams back, lose answers after the server
// has given them, and send requests twice.

import { Agent, createServer, request } from 'node:http'
import { connect } from 'node:net'

/**
 * @typedef {object} Rules
 * @property {'pass' | 'refuse' | 'hang' | 'mute'} websocket mute: the handshake passes and nothing after it
 * @property {boolean} buffer event streams are kept until they end
 * @property {(request: {method: string, url: string}) => boolean} lose the answer is read whole and thrown away with its connection
 * @property {(request: {method: string, url: string}) => boolean} repeat the request is made twice, the second answer is given
 */

/** Starts a proxy in front of a server (anything with `port`). Its `rules` may be changed at any time. */
export async function httpProxy (server, { t, rules = {} } = {}) {
  const agent = new Agent({ keepAlive: true })
  const sockets = new Set()
  const proxy = {
    rules: { websocket: 'pass', buffer: false, lose: () => false, repeat: () => false, ...rules },
    upgrades: 0,
    lost: 0,
    repeated: 0,
    get url () { return `http://127.0.0.1:${this.port}` },
    get wsUrl () { return `ws://127.0.0.1:${this.port}` },
    /** Cuts everything that is open. */
    cut () { for (const socket of sockets) socket.destroy() }
  }
  const listener = createServer((incoming, outgoing) => {
    const chunks = []
    incoming.on('data', chunk => chunks.push(chunk))
    incoming.on('error', () => {})
    incoming.on('end', () => handle(incoming, outgoing, Buffer.concat(chunks)).catch(() => outgoing.destroy()))
  })

  function forward (incoming, body, outgoing) {
    return new Promise((resolve, reject) => {
      const upstream = request({ port: server.port, host: '127.0.0.1', method: incoming.method, path: incoming.url, headers: incoming.headers, agent }, resolve)
      upstream.on('error', reject)
      outgoing.on('close', () => upstream.destroy())
      upstream.end(body)
    })
  }

  const whole = async answer => { const chunks = []; for await (const chunk of answer) chunks.push(chunk); return Buffer.concat(chunks) }

  async function handle (incoming, outgoing, body) {
    const { lose, repeat, buffer } = proxy.rules
    const twice = repeat(incoming)
    const first = forward(incoming, body, outgoing)
    if (twice) {
      proxy.repeated++
      first.then(whole).catch(() => {})
    }
    const answer = await (twice ? forward(incoming, body, outgoing) : first)
    const isStream = answer.headers['content-type']?.startsWith('text/event-stream')
    if (lose(incoming)) {
      await whole(answer)
      proxy.lost++
      outgoing.destroy()
    } else if (isStream && !buffer) {
      outgoing.writeHead(answer.statusCode, answer.headers)
      outgoing.flushHeaders()
      answer.on('error', () => outgoing.destroy())
      answer.pipe(outgoing)
    } else {
      const bytes = await whole(answer)
      outgoing.writeHead(answer.statusCode, answer.headers)
      outgoing.end(bytes)
    }
  }

  listener.on('upgrade', (incoming, socket, head) => {
    proxy.upgrades++
    socket.on('error', () => {})
    const { websocket } = proxy.rules
    if (websocket === 'refuse') return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    if (websocket === 'hang') return
    const upstream = connect(server.port, '127.0.0.1')
    sockets.add(upstream)
    upstream.on('error', () => socket.destroy())
    upstream.on('close', () => { sockets.delete(upstream); socket.destroy() })
    socket.on('close', () => upstream.destroy())
    upstream.write(`GET ${incoming.url} HTTP/1.1\r\n${Object.entries(incoming.headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
    upstream.write(head)
    socket.pipe(upstream)
    if (websocket === 'pass') upstream.pipe(socket)
    else upstream.once('data', data => { socket.write(data.subarray(0, data.indexOf('\r\n\r\n') + 4)); upstream.resume() })
  })
  listener.on('connection', socket => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)) })
  t?.after(() => new Promise(resolve => { listener.close(resolve); proxy.cut(); agent.destroy() }))
  await new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(0, '127.0.0.1', resolve)
  })
  proxy.port = listener.address().port
  return proxy
}
