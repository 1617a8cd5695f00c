// Sends frames by hand and tells how the server took them: closed with a code, or still there.

import { WebSocket } from 'ws'
import * as encoding from 'lib0/encoding'
import { RawClient, documentUrl, waitFor, within } from '../../lib/client.mjs'
import { step1 } from '../../lib/frames.mjs'

/** Bytes written by a function over a lib0 encoder. */
export function bytes (write) {
  const encoder = encoding.createEncoder()
  write(encoder)
  return encoding.toUint8Array(encoder)
}

export const varUint = n => bytes(encoder => encoding.writeVarUint(encoder, n))
export const varString = text => bytes(encoder => encoding.writeVarString(encoder, text))
export const varBytes = inner => bytes(encoder => encoding.writeVarUint8Array(encoder, inner))
export const concat = (...parts) => Uint8Array.from(Buffer.concat(parts.map(part => typeof part === 'number' ? [part] : part).map(part => Buffer.from(part))))

/**
 * Sends frames (a string goes as a text frame) on a connection of its own and resolves with the code of the server's
 * close, or 'open' if it still answers a question after them.
 * @param {{ synced?: boolean, headers?: Record<string, string> }} [options] synced: exchange the first sync before, as a client at work has
 */
export async function poke (server, room, frames, { synced = false, deadline = 5_000, headers } = {}) {
  const raw = await RawClient.connect(documentUrl(server, room), { headers })
  try {
    if (synced) await raw.fence()
    for (const frame of frames) typeof frame === 'string' ? raw.sendText(frame) : raw.send(frame).catch(() => {})
    const answers = raw.messages.filter(message => message.kind === 'step2').length
    raw.send(step1()).catch(() => {})
    await waitFor(() => raw.closed || raw.messages.filter(message => message.kind === 'step2').length > answers, deadline,
      () => `a close or an answer; ${raw.describe()}`, 1)
    return raw.closed ? raw.closed.code : 'open'
  } finally {
    raw.drop()
  }
}

/**
 * A connection for very many frames: `send` resolves once the server has read the frame (it answers the ping behind it)
 * or has closed the connection; a closed one is replaced. Keeps nothing it receives.
 */
export class Lane {
  #ws = null
  #sequence = 0
  /** code -> how often. */
  closes = new Map()
  connections = 0

  constructor (server) { this.server = server }

  async #connect (room) {
    const ws = new WebSocket(documentUrl(this.server, room), { perMessageDeflate: false, maxPayload: 2 ** 30 })
    const gone = new Promise(resolve => ws.once('close', code => {
      if (this.#ws === ws) this.closes.set(code, (this.closes.get(code) ?? 0) + 1)
      resolve()
    }))
    ws.on('error', () => {})
    await within(Promise.race([new Promise(resolve => ws.once('open', resolve)), gone]), 10_000, `a connection to ${room}`)
    if (ws.readyState !== WebSocket.OPEN) throw new Error(`no connection to ${room}`)
    this.connections++
    this.#ws = ws
    this.room = room
    this.gone = gone
    ws.on('message', () => {})
  }

  async send (frame, room = this.room) {
    if (this.#ws && this.room !== room) this.close()
    if (this.#ws?.readyState !== WebSocket.OPEN) await this.#connect(room)
    const ws = this.#ws
    const mark = String(this.#sequence++)
    const read = new Promise(resolve => {
      const hear = data => { if (data.toString() === mark) { ws.off('pong', hear); resolve() } }
      ws.on('pong', hear)
    })
    ws.send(frame, () => {})
    ws.ping(mark, undefined, () => {})
    await within(Promise.race([read, this.gone]), 20_000, `an answer to the ping behind ${Buffer.from(frame).toString('hex').slice(0, 400)}`)
  }

  close () {
    const ws = this.#ws
    this.#ws = null
    ws?.terminate()
  }
}
