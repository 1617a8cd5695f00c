// A WebSocket client that writes frames by hand and records what it gets.

import { WebSocket } from 'ws'
import * as Y from 'yjs'
import * as frames from './frames.mjs'
import { waitFor, within } from './wait.mjs'

/** The WebSocket address of a document. `prefix` is '/ws' or ''. The name is percent-encoded unless `raw`. */
export function documentUrl (server, name, { prefix = '/ws', raw = false, query = '' } = {}) {
  return `${server.wsUrl}${prefix}/${raw ? name : encodeURIComponent(name)}${query}`
}

export class RawClient {
  /** Everything received, in order: {at, frame} with `at` in milliseconds since the page's origin. */
  received = []
  /** The messages of those frames, in order, each with `at` and `frame` added. */
  messages = []
  /** {code, reason, at} once closed. */
  closed = null
  /** Frames that could not be decoded, and text frames: a server must send none. */
  bad = []
  pings = 0
  pongs = []
  #cursor = 0

  /**
   * Connects and resolves once the socket is open; rejects with `error.status` if the upgrade is refused.
   * @param {string} url
   * @param {{ protocols?: string[], headers?: Record<string, string>, deadline?: number, t?: { after: Function },
   *           options?: import('ws').ClientOptions }} [options]
   */
  static async connect (url, { protocols = [], headers = {}, deadline = 10_000, options = {}, t } = {}) {
    const client = new RawClient(new WebSocket(url, protocols, { headers, perMessageDeflate: false, maxPayload: 2 ** 30, ...options }))
    t?.after(() => client.drop())
    await within(client.opened, deadline, `an open socket at ${url}`)
    return client
  }

  constructor (ws) {
    this.ws = ws
    ws.binaryType = 'nodebuffer'
    this.opened = new Promise((resolve, reject) => {
      ws.once('open', resolve)
      ws.once('unexpected-response', (_request, response) => {
        const chunks = []
        response.on('data', chunk => chunks.push(chunk))
        response.on('end', () => reject(Object.assign(new Error(`upgrade refused with ${response.statusCode}`),
          { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() })))
        response.resume()
      })
      ws.on('error', reject)
    })
    this.opened.catch(() => {})
    this.gone = new Promise(resolve => ws.once('close', (code, reason) => {
      this.closed = { code, reason: reason.toString(), at: performance.now() }
      resolve(this.closed)
    }))
    ws.on('ping', () => { this.pings++ })
    ws.on('pong', data => this.pongs.push(data.toString()))
    ws.on('message', (data, binary) => this.#take(data, binary))
  }

  #take (data, binary) {
    const at = performance.now()
    const frame = new Uint8Array(data)
    this.received.push({ at, frame, binary })
    if (!binary) {
      this.bad.push({ frame, error: new Error('a text frame') })
      return
    }
    try {
      for (const message of frames.decode(frame)) this.messages.push({ ...message, at, frame })
    } catch (error) {
      this.bad.push({ frame, error })
    }
  }

  /** Sends one binary frame; a string is taken as hex. Resolves when handed to the kernel. */
  send (bytes) {
    const data = typeof bytes === 'string' ? frames.fromHex(bytes) : bytes
    return new Promise((resolve, reject) => this.ws.send(data, { binary: true }, error => error ? reject(error) : resolve()))
  }

  sendText (text) { this.ws.send(text, { binary: false }) }
  step1 (stateVector) { return this.send(frames.step1(stateVector)) }
  step2 (update) { return this.send(frames.step2(update)) }
  update (update) { return this.send(frames.update(update)) }
  awareness (...entries) { return this.send(frames.awareness(entries)) }

  /** Waits for a message (also one that has already come) that fits; searches the whole record. */
  expect (predicate, deadline = 5_000, label = 'a message') {
    const fits = typeof predicate === 'string' ? message => message.kind === predicate : predicate
    return waitFor(() => this.messages.find(fits), deadline, () => `${label}; ${this.describe()}`)
  }

  /** Like `expect`, but only looks behind what an earlier `next` has returned. */
  next (predicate, deadline = 5_000, label = 'a message') {
    const fits = typeof predicate === 'string' ? message => message.kind === predicate : predicate
    return waitFor(() => {
      const index = this.messages.findIndex((message, i) => i >= this.#cursor && fits(message))
      if (index < 0) return undefined
      this.#cursor = index + 1
      return this.messages[index]
    }, deadline, () => `${label}; ${this.describe()}`)
  }

  /** Forgets the past for `next`. */
  mark () { this.#cursor = this.messages.length }

  /**
   * Asks for what lies above `stateVector` (encoded) and resolves with the merged answer: all updates that come up to and
   * including the SyncStep2. Call it on a connection where nobody else edits meanwhile, or take the extra as a gift.
   */
  async read (stateVector, deadline = 10_000) {
    const from = this.messages.length
    await this.step1(stateVector)
    const done = await waitFor(() => {
      if (this.closed) throw new Error(`closed with ${this.closed.code} ${this.closed.reason}`)
      const index = this.messages.findIndex((message, i) => i >= from && message.kind === 'step2')
      return index < 0 ? undefined : index + 1
    }, deadline, () => `a SyncStep2; ${this.describe()}`, 1)
    const parts = this.messages.slice(from, done).filter(m => m.kind === 'update' || m.kind === 'step2').map(m => m.payload)
    return parts.length === 1 ? parts[0] : Y.mergeUpdates(parts)
  }

  /**
   * Resolves when the server has taken everything sent so far: presence and answers are given in order, so a query and its
   * answer make a fence.
   */
  async fence (deadline = 30_000) { await this.read(undefined, deadline) }

  /** The presence this client has been told of: id -> {clock, state}, null states included. */
  presence () {
    const seen = new Map()
    for (const message of this.messages) {
      if (message.kind !== 'awareness') continue
      for (const { id, clock, state } of message.entries) {
        const known = seen.get(id)
        if (!known || known.clock < clock || (known.clock === clock && state === null)) seen.set(id, { clock, state })
      }
    }
    return seen
  }

  /** Stops reading: the kernel's buffers fill up and TCP pushes back. */
  pause () { this.ws.pause() }
  resume () { this.ws.resume() }
  /** Tears the connection without a close frame. */
  drop () { this.ws.terminate() }

  async close (code = 1000, deadline = 5_000) {
    this.ws.close(code)
    return await within(this.gone, deadline, 'the close handshake')
  }

  /** Waits until the server has closed it. */
  whenClosed (deadline = 5_000) { return within(this.gone, deadline, `the server to close; ${this.describe()}`) }

  describe () {
    const kinds = this.messages.slice(-12).map(m => m.kind === 'awareness' ? `awareness${JSON.stringify(m.entries)}` : `${m.kind}(${m.frame.length} B)`)
    return `got ${this.messages.length} messages, last: ${kinds.join(', ') || 'none'}` +
      (this.bad.length ? `, ${this.bad.length} bad frames: ${this.bad.slice(0, 3).map(b => frames.hex(b.frame.slice(0, 40))).join(' ')}` : '') +
      (this.closed ? `, closed ${this.closed.code} ${this.closed.reason}` : '')
  }
}
