// The y-websocket dialect by hand: encodes and decodes single frames. Source: y-protocols (sync, awareness, auth).

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

export const SYNC = 0
export const AWARENESS = 1
export const AUTH = 2
export const QUERY_AWARENESS = 3

/** The update without content. */
export const EMPTY_UPDATE = Uint8Array.of(0, 0)

const frame = write => {
  const encoder = encoding.createEncoder()
  write(encoder)
  return encoding.toUint8Array(encoder)
}

const sync = (kind, payload) => frame(encoder => {
  encoding.writeVarUint(encoder, SYNC)
  encoding.writeVarUint(encoder, kind)
  encoding.writeVarUint8Array(encoder, payload)
})

/** @param {Uint8Array} [stateVector] encoded; default: an empty document's */
export const step1 = (stateVector = Uint8Array.of(0)) => sync(0, stateVector)
export const step2 = (update = EMPTY_UPDATE) => sync(1, update)
export const update = bytes => sync(2, bytes)
export const queryAwareness = () => Uint8Array.of(QUERY_AWARENESS)

/** @param {Array<{ id: number, clock: number, state?: unknown, json?: string }>} entries `json` is sent as it is */
export const awareness = entries => frame(encoder => {
  encoding.writeVarUint(encoder, AWARENESS)
  encoding.writeVarUint8Array(encoder, frame(inner => {
    encoding.writeVarUint(inner, entries.length)
    for (const { id, clock, state = null, json = JSON.stringify(state) } of entries) {
      encoding.writeVarUint(inner, id)
      encoding.writeVarUint(inner, clock)
      encoding.writeVarString(inner, json)
    }
  }))
})

/**
 * Reads the messages of one frame. Throws on anything malformed: a server must not send such a frame.
 * @param {Uint8Array} bytes
 * @returns {Array<{ kind: 'step1', stateVector: Map<number, number>, payload: Uint8Array }
 *   | { kind: 'step2' | 'update', payload: Uint8Array }
 *   | { kind: 'awareness', entries: Array<{ id: number, clock: number, state: any }> }
 *   | { kind: 'denied', reason: string } | { kind: 'query-awareness' } | { kind: 'unknown', type: number }>}
 */
export function decode (bytes) {
  const decoder = decoding.createDecoder(bytes)
  const messages = []
  do { messages.push(message(decoder)) } while (decoding.hasContent(decoder))
  return messages
}

function message (decoder) {
  const type = decoding.readVarUint(decoder)
  switch (type) {
    case SYNC: {
      const kind = decoding.readVarUint(decoder)
      const payload = decoding.readVarUint8Array(decoder).slice()
      if (kind === 0) return { kind: 'step1', payload, stateVector: Y.decodeStateVector(payload) }
      if (kind === 1) return { kind: 'step2', payload }
      if (kind === 2) return { kind: 'update', payload }
      throw new Error(`unknown sync message ${kind}`)
    }
    case AWARENESS: {
      const inner = decoding.createDecoder(decoding.readVarUint8Array(decoder))
      const entries = []
      for (let count = decoding.readVarUint(inner); count > 0; count--) {
        const id = decoding.readVarUint(inner)
        const clock = decoding.readVarUint(inner)
        entries.push({ id, clock, state: JSON.parse(decoding.readVarString(inner)) })
      }
      if (decoding.hasContent(inner)) throw new Error('bytes left over in an awareness message')
      return { kind: 'awareness', entries }
    }
    case AUTH:
      decoding.readVarUint(decoder)
      return { kind: 'denied', reason: decoding.readVarString(decoder) }
    case QUERY_AWARENESS:
      return { kind: 'query-awareness' }
    default:
      decoder.pos = decoder.arr.length
      return { kind: 'unknown', type }
  }
}

export const hex = bytes => Buffer.from(bytes).toString('hex')
export const fromHex = text => Uint8Array.from(Buffer.from(text, 'hex'))
