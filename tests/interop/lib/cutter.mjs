// The wire cutter: a TCP proxy on 127.0.0.1 that can throttle, stall, blackhole, reset, cut after n bytes, and resume.

import { createServer, connect } from 'node:net'

const SLICE_MS = 20

/**
 * @typedef {'up' | 'down' | 'both'} Direction up: client to server
 */

/** Starts a cutter in front of a server (anything with `port`, read anew for each connection). */
export async function cut (server, { t } = {}) {
  const cutter = new Cutter(server)
  t?.after(() => cutter.close())
  await cutter.listen()
  return cutter
}

class Lane {
  // One direction of one connection: takes chunks from `from`, hands them to `to` as the rule allows.
  constructor (from, to, rule, cutter) {
    this.from = from
    this.to = to
    this.rule = rule
    this.cutter = cutter
    this.queue = []
    this.bytes = 0
    this.queued = 0
    this.ended = false
    from.on('data', chunk => {
      if (this.rule.mode === 'blackhole') return
      this.queue.push(chunk)
      this.queued += chunk.length
      // What the rule holds back must push back on the sender, as a narrow line does.
      if (this.queued > 256 * 1024) from.pause()
      this.pump()
    })
    from.on('end', () => { this.ended = true; this.pump() })
  }

  pump () {
    if (this.rule.mode === 'stall' || this.rule.mode === 'blackhole') return
    while (this.queue.length > 0) {
      let chunk = this.queue[0]
      let allowed = chunk.length
      if (this.rule.rate !== Infinity) allowed = Math.min(allowed, this.rule.allowance)
      if (this.rule.cutAfter !== Infinity) allowed = Math.min(allowed, this.rule.cutAfter)
      if (allowed <= 0 && this.rule.cutAfter > 0) return
      if (allowed < chunk.length) {
        this.queue[0] = chunk.subarray(allowed)
        chunk = chunk.subarray(0, allowed)
      } else {
        this.queue.shift()
      }
      this.rule.allowance -= chunk.length
      this.rule.cutAfter -= chunk.length
      this.queued -= chunk.length
      this.bytes += chunk.length
      if (chunk.length > 0 && this.to.writable) this.to.write(chunk)
      if (this.rule.cutAfter <= 0) {
        this.rule.cutAfter = Infinity
        this.cutter.onCut(this)
        return
      }
      if (this.to.writableLength > 256 * 1024) {
        this.to.once('drain', () => this.pump())
        return
      }
    }
    if (this.from.isPaused() && this.queued < 128 * 1024) this.from.resume()
    if (this.ended && this.queue.length === 0 && this.to.writable) this.to.end()
  }
}

export class Cutter {
  #listener = createServer({ allowHalfOpen: true }, socket => this.#accept(socket))
  #links = new Set()
  #timer
  #rules = { up: fresh(), down: fresh() }
  /** Connections ever accepted. */
  accepted = 0
  /** While true, new connections are reset at once. */
  refusing = false

  constructor (server) {
    this.server = server
    this.#timer = setInterval(() => this.#tick(), SLICE_MS)
    this.#timer.unref()
  }

  listen () {
    return new Promise((resolve, reject) => {
      this.#listener.once('error', reject)
      this.#listener.listen(0, '127.0.0.1', () => { this.port = this.#listener.address().port; resolve() })
    })
  }

  get url () { return `http://127.0.0.1:${this.port}` }
  get wsUrl () { return `ws://127.0.0.1:${this.port}` }
  /** Live connections. */
  get links () { return this.#links.size }
  /** Bytes passed on over all live connections. */
  get bytes () {
    const sum = { up: 0, down: 0 }
    for (const link of this.#links) { sum.up += link.up.bytes; sum.down += link.down.bytes }
    return sum
  }

  #accept (client) {
    if (this.refusing) { client.resetAndDestroy(); return }
    this.accepted++
    const upstream = connect({ port: this.server.port, host: '127.0.0.1', allowHalfOpen: true })
    client.setNoDelay(true)
    upstream.setNoDelay(true)
    const link = { client, upstream }
    link.up = new Lane(client, upstream, this.#rules.up, this)
    link.down = new Lane(upstream, client, this.#rules.down, this)
    this.#links.add(link)
    const end = () => {
      if (!this.#links.delete(link)) return
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      socket.on('error', () => { if (this.#silent()) return; this.#reset(link) })
      socket.on('close', () => { if (!this.#silent()) end() })
    }
  }

  // While blackholed, an end on one side is not told to the other.
  #silent () { return this.#rules.up.mode === 'blackhole' || this.#rules.down.mode === 'blackhole' }

  #reset (link) {
    this.#links.delete(link)
    for (const socket of [link.client, link.upstream]) {
      // A reset while a shutdown is under way is refused by libuv, and the half-closed handle would keep node from exiting.
      if (socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  onCut (lane) { for (const link of this.#links) if (link.up === lane || link.down === lane) this.#reset(link) }

  #tick () {
    for (const rule of [this.#rules.up, this.#rules.down]) {
      if (rule.rate !== Infinity) rule.allowance = Math.min(rule.rate, rule.allowance + rule.rate * SLICE_MS / 1000)
    }
    this.#pump()
  }

  #pump () { for (const link of this.#links) { link.up.pump(); link.down.pump() } }

  #change (direction, change) {
    for (const name of direction === 'both' ? ['up', 'down'] : [direction]) Object.assign(this.#rules[name], change)
    this.#pump()
  }

  /** At most this many bytes per second, over all connections of that direction. @param {Direction} direction */
  throttle (bytesPerSecond, direction = 'both') { this.#change(direction, { rate: bytesPerSecond, allowance: 0 }) }
  /** Holds everything back (TCP pushes back); nothing is lost. @param {Direction} direction */
  stall (direction = 'both') { this.#change(direction, { mode: 'stall' }) }
  /** Swallows everything, closes included; neither side is told. @param {Direction} direction */
  blackhole (direction = 'both') { this.#change(direction, { mode: 'blackhole' }) }
  /** Resets a connection once this many more bytes have passed. @param {Direction} direction */
  cutAfter (bytes, direction = 'down') { this.#change(direction, { cutAfter: bytes }) }

  /** Back to a plain wire. Connections that were blackholed have lost bytes: they are reset. */
  resume () {
    const wasSilent = this.#silent()
    this.#change('both', { ...fresh() })
    if (wasSilent) this.reset()
    this.refusing = false
  }

  /** Resets all live connections (RST on both sides). */
  reset () { for (const link of [...this.#links]) this.#reset(link) }
  /** Resets all and refuses new ones until `resume`. */
  down () { this.refusing = true; this.reset() }

  close () {
    clearInterval(this.#timer)
    this.reset()
    return new Promise(resolve => this.#listener.close(resolve))
  }
}

function fresh () { return { mode: 'pass', rate: Infinity, allowance: 0, cutAfter: Infinity } }
