// The Hocuspocus dialect by hand: encodes and decodes single frames. Source: the types of @hocuspocus/server 4.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as frames from './frames.mjs'

const STATELESS = 5
const CLOSE = 7
const SYNC_STATUS = 8

/** A frame of these parts: numbers are varints, strings and byte arrays have their length in front. */
export function frame (address, ...parts) {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, address)
  for (const part of parts) {
    if (typeof part === 'number') encoding.writeVarUint(encoder, part)
    else if (typeof part === 'string') encoding.writeVarString(encoder, part)
    else encoding.writeVarUint8Array(encoder, part)
  }
  return encoding.toUint8Array(encoder)
}

export const token = (address, text, version) => version === undefined ? frame(address, 2, 0, text) : frame(address, 2, 0, text, version)
export const step1 = (address, stateVector = Uint8Array.of(0)) => frame(address, 0, 0, stateVector)
export const update = (address, bytes) => frame(address, 0, 2, bytes)
export const close = address => frame(address, CLOSE)

/** Reads one frame: {kind, address, ..}. Throws on anything malformed. */
export function decode (bytes) {
  if (bytes.length === 1 && bytes[0] === 9) return { kind: 'ping' }
  if (bytes.length === 1 && bytes[0] === 10) return { kind: 'pong' }
  const decoder = decoding.createDecoder(bytes)
  const address = decoding.readVarString(decoder)
  return { address, ...body(decoder) }
}

function body (decoder) {
  const start = decoder.pos
  const type = decoding.readVarUint(decoder)
  const rest = () => decoding.hasContent(decoder)
  switch (type) {
    case frames.SYNC: case frames.AWARENESS: case frames.QUERY_AWARENESS:
      return frames.decode(decoder.arr.slice(start))[0]
    case frames.AUTH:
      switch (decoding.readVarUint(decoder)) {
        case 0: return rest() ? { kind: 'token', token: decoding.readVarString(decoder), version: rest() ? decoding.readVarString(decoder) : undefined } : { kind: 'token-request' }
        case 1: return { kind: 'refused', reason: decoding.readVarString(decoder) }
        case 2: return { kind: 'authenticated', scope: decoding.readVarString(decoder) }
        default: throw new Error('unknown auth message')
      }
    case STATELESS: return { kind: 'stateless', text: decoding.readVarString(decoder) }
    case CLOSE: return { kind: 'close', reason: rest() ? decoding.readVarString(decoder) : undefined }
    case SYNC_STATUS: return { kind: 'status', applied: decoding.readVarInt(decoder) === 1 }
    default: return { kind: 'unknown', type }
  }
}
