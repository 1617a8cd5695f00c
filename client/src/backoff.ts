// How long to wait before the next attempt: exponential, with full jitter, so that clients that were cut off together do not
// come back together.

const BASE_MS = 500
const CAP_MS = 30_000

export class Backoff {
  #random: () => number
  #attempts = 0

  constructor (random: () => number) {
    this.#random = random
  }

  /** Milliseconds until the next attempt. `atLeast`: the server asked for this much; everybody was asked the same, so it is spread, too. */
  next (atLeast = 0): number {
    const window = Math.min(CAP_MS, BASE_MS * 2 ** this.#attempts)
    this.#attempts++
    return atLeast + this.#random() * window
  }

  /** Leaves out the shortest waits: everybody was cut off at once. */
  widen (): void {
    this.#attempts = Math.max(this.#attempts, 2)
  }

  reset (): void {
    this.#attempts = 0
  }
}
