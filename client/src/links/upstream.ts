// What goes up a session: numbered items, each sent until the server has said that it has it.

import { type Item, ITEM_BYTES, split } from '../items.js'
import type { Urgency } from './link.js'

/** Items of one request; the server takes more. */
const ITEMS = 1_000

/** Items of one request, and the number of the first. */
export interface Batch {
  first: number
  items: Item[]
}

export class Upstream {
  /** What the server is not known to have, from number `#first` on. */
  #items: Item[] = []
  #first = 1
  #presence: Uint8Array | undefined
  #renewal: Uint8Array | undefined

  add (frame: Uint8Array, urgency: Urgency): void {
    switch (urgency) {
      case 'edit':
        this.#items.push(...split(frame))
        break
      case 'presence':
        this.#presence = frame
        this.#renewal = undefined
        break
      case 'renewal':
        if (this.#presence === undefined) this.#renewal = frame
        break
    }
  }

  /** Whether something should go out soon. */
  get hasWork (): boolean {
    return this.#items.length > 0 || this.#presence !== undefined
  }

  /** Whether something would go out with whatever goes next. */
  get hasRenewal (): boolean {
    return this.#renewal !== undefined
  }

  /** What to send next, up to about two items' size. It stays here until `received`. */
  batch (): Batch {
    const presence = this.#presence ?? this.#renewal
    this.#presence = undefined
    this.#renewal = undefined
    // Behind the edits: a cursor points at what they insert.
    if (presence) this.#items.push(...split(presence))
    let bytes = 0
    let count = 0
    while (count < this.#items.length) {
      bytes += (this.#items[count] as Item).bytes.length
      if (count > 0 && (bytes > 2 * ITEM_BYTES || count >= ITEMS)) break
      count++
    }
    return { first: this.#first, items: this.#items.slice(0, count) }
  }

  /** The server has all items up to this number. */
  received (number: number): void {
    const known = Math.min(Math.max(0, number + 1 - this.#first), this.#items.length)
    this.#items.splice(0, known)
    this.#first += known
  }
}
