// What the HTTP transports carry: frames, cut into items of a size that every proxy passes. An item is a piece of a frame;
// its head is the length doubled, plus one if the frame goes on in the next item.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

/** The largest item that this client makes. Common proxies refuse bodies of more than a mebibyte. */
export const ITEM_BYTES = 256 * 1024

export interface Item {
  bytes: Uint8Array
  /** The frame goes on in the next item. */
  more: boolean
}

/** What the server gives at once: items, and the place behind the last of them. */
export interface Delivery {
  cursor: string
  items: Item[]
}

export function split (frame: Uint8Array): Item[] {
  const items: Item[] = []
  let at = 0
  do {
    const end = Math.min(at + ITEM_BYTES, frame.length)
    items.push({ bytes: frame.subarray(at, end), more: end < frame.length })
    at = end
  } while (at < frame.length)
  return items
}

export function pack (items: Item[]): Uint8Array {
  return encoding.encode(encoder => {
    for (const { bytes, more } of items) {
      encoding.writeVarUint(encoder, bytes.length * 2 + (more ? 1 : 0))
      encoding.writeUint8Array(encoder, bytes)
    }
  })
}

function delivery (decoder: decoding.Decoder): Delivery {
  const cursor = decoding.readVarString(decoder)
  const items: Item[] = []
  while (decoding.hasContent(decoder)) {
    const head = decoding.readVarUint(decoder)
    items.push({ bytes: decoding.readUint8Array(decoder, Math.floor(head / 2)), more: head % 2 === 1 })
  }
  return { cursor, items }
}

export const unpack = (bytes: Uint8Array): Delivery => delivery(decoding.createDecoder(bytes))

/** The answer to the opening of a session. */
export function unpackOpening (bytes: Uint8Array): { session: string, lease: number, delivery: Delivery } {
  const decoder = decoding.createDecoder(bytes)
  return { session: decoding.readVarString(decoder), lease: decoding.readVarUint(decoder), delivery: delivery(decoder) }
}

/** Puts frames together again. */
export class Assembler {
  #pieces: Uint8Array[] = []

  /** The frame that this item ends, if it ends one. */
  add ({ bytes, more }: Item): Uint8Array | undefined {
    if (!more && this.#pieces.length === 0) return bytes
    this.#pieces.push(bytes)
    if (more) return undefined
    const frame = new Uint8Array(this.#pieces.reduce((sum, piece) => sum + piece.length, 0))
    let at = 0
    for (const piece of this.#pieces) {
      frame.set(piece, at)
      at += piece.length
    }
    this.#pieces = []
    return frame
  }
}
