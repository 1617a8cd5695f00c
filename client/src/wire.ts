// Messages and frames as the server speaks them: those of y-protocols, and one of its own, the version. A frame holds one
// message or several. Described in crates/sync-protocol/PROTOCOL.md.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const VERSION = 102
const EVENTS = 103
const BROADCAST = 104
const STORING = 105

const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2

export type Message =
  | { type: 'step1', vector: Uint8Array }
  | { type: 'step2', update: Uint8Array }
  | { type: 'update', update: Uint8Array }
  | { type: 'awareness', update: Uint8Array }
  | { type: 'query' }
  /** The server took something not: an edit of a reader. */
  | { type: 'denied', reason: string }
  /** Everything sent before this version of the document is on disk. */
  | { type: 'version', version: number }
  /** Of the user's inbox, as JSON. */
  | { type: 'event', json: string }
  /** A text of the application, from another client or its server. */
  | { type: 'broadcast', text: string }
  /** Whether the server can store edits at present. */
  | { type: 'storing', storing: boolean }

function sync (kind: number, payload: Uint8Array): Uint8Array {
  return encoding.encode(encoder => {
    encoding.writeVarUint(encoder, SYNC)
    encoding.writeVarUint(encoder, kind)
    encoding.writeVarUint8Array(encoder, payload)
  })
}

export const step1 = (vector: Uint8Array): Uint8Array => sync(STEP_1, vector)
export const step2 = (update: Uint8Array): Uint8Array => sync(STEP_2, update)
export const update = (bytes: Uint8Array): Uint8Array => sync(UPDATE, bytes)

export function awareness (bytes: Uint8Array): Uint8Array {
  return encoding.encode(encoder => {
    encoding.writeVarUint(encoder, AWARENESS)
    encoding.writeVarUint8Array(encoder, bytes)
  })
}

/** Asks who is present. Every server answers at once, so it is also how a connection is felt for. */
export const query = (): Uint8Array => Uint8Array.of(QUERY_AWARENESS)

export function version (number: number): Uint8Array {
  const payload = encoding.encode(encoder => { encoding.writeVarUint(encoder, number) })
  return encoding.encode(encoder => {
    encoding.writeVarUint(encoder, VERSION)
    encoding.writeVarUint8Array(encoder, payload)
  })
}

/** Asks for the events of the user behind this id. */
export function events (after: string): Uint8Array {
  return encoding.encode(encoder => {
    encoding.writeVarUint(encoder, EVENTS)
    encoding.writeVarString(encoder, after)
  })
}

export function broadcast (text: string): Uint8Array {
  return encoding.encode(encoder => {
    encoding.writeVarUint(encoder, BROADCAST)
    encoding.writeVarString(encoder, text)
  })
}

/** The messages of a frame. Of what is unknown nothing tells the length, so the rest of its frame is passed over. */
export function decode (frame: Uint8Array): Message[] {
  const decoder = decoding.createDecoder(frame)
  const messages: Message[] = []
  while (decoding.hasContent(decoder)) {
    switch (decoding.readVarUint(decoder)) {
      case SYNC: {
        const kind = decoding.readVarUint(decoder)
        const payload = decoding.readVarUint8Array(decoder)
        if (kind === STEP_1) messages.push({ type: 'step1', vector: payload })
        else if (kind === STEP_2) messages.push({ type: 'step2', update: payload })
        else if (kind === UPDATE) messages.push({ type: 'update', update: payload })
        else return messages
        break
      }
      case AWARENESS:
        messages.push({ type: 'awareness', update: decoding.readVarUint8Array(decoder) })
        break
      case AUTH:
        if (decoding.readVarUint(decoder) !== 0) return messages
        messages.push({ type: 'denied', reason: decoding.readVarString(decoder) })
        break
      case QUERY_AWARENESS:
        messages.push({ type: 'query' })
        break
      case VERSION: {
        const payload = decoding.createDecoder(decoding.readVarUint8Array(decoder))
        messages.push({ type: 'version', version: decoding.readVarUint(payload) })
        break
      }
      case EVENTS:
        messages.push({ type: 'event', json: decoding.readVarString(decoder) })
        break
      case BROADCAST:
        messages.push({ type: 'broadcast', text: decoding.readVarString(decoder) })
        break
      case STORING:
        messages.push({ type: 'storing', storing: decoding.readVarUint(decoder) !== 0 })
        break
      default:
        return messages
    }
  }
  return messages
}
