// A proxy as operators put in front: it ends a connection on which one direction has been silent for too long.

import { connect, createServer } from 'node:net'

/** Starts the proxy. `longest` is the longest silence in milliseconds seen in each direction of any connection. */
export async function idleProxy (server, idleMs, { t } = {}) {
  const links = new Set()
  const proxy = {
    accepted: 0,
    ended: 0,
    longest: { up: 0, down: 0 },
    get wsUrl () { return `ws://127.0.0.1:${this.port}` },
    /** Counts the silence that lasts until now. */
    measure () { for (const link of links) link.note(); return this.longest },
    close () {
      clearInterval(timer)
      for (const link of links) link.end()
      listener.close()
    }
  }
  const listener = createServer(client => {
    proxy.accepted++
    const upstream = connect(server.port, '127.0.0.1')
    const heard = { up: performance.now(), down: performance.now() }
    const note = direction => { proxy.longest[direction] = Math.max(proxy.longest[direction], performance.now() - heard[direction]) }
    const link = {
      heard,
      note () { note('up'); note('down') },
      end () {
        links.delete(link)
        client.destroy()
        upstream.destroy()
      }
    }
    links.add(link)
    const pass = (from, to, direction) => {
      from.on('data', chunk => {
        note(direction)
        heard[direction] = performance.now()
        to.write(chunk)
      })
      from.on('error', () => link.end())
      from.on('close', () => link.end())
    }
    pass(client, upstream, 'up')
    pass(upstream, client, 'down')
  })
  const timer = setInterval(() => {
    const now = performance.now()
    for (const link of links) {
      if (now - link.heard.up > idleMs || now - link.heard.down > idleMs) {
        link.note()
        proxy.ended++
        link.end()
      }
    }
  }, 200)
  timer.unref()
  t?.after(() => proxy.close())
  await new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(0, '127.0.0.1', resolve)
  })
  proxy.port = listener.address().port
  return proxy
}
