// Which of the changes made here the server has on its disk.
//
// Changes are counted. The server is told the count behind the changes it covers, and gives it back when all that came before is
// stored; that holds on one connection only, so a new one forgets what was asked on the old one.

export class Confirmations {
  #made: number
  #confirmed = 0
  /** Asked on this connection, and not given back. */
  #asked: number | undefined

  /** @param made changes that are there from the beginning and may be new to the server */
  constructor (made = 0) {
    this.#made = made
  }

  /** Changes that are not known to be stored. */
  get open (): number {
    return this.#made - this.#confirmed
  }

  made (): void {
    this.#made++
  }

  /** A new connection: nothing is asked on it. */
  restart (): void {
    this.#asked = undefined
  }

  /** The count to ask for now, if it is time to: one question at a time, and none without a change. */
  ask (): number | undefined {
    if (this.#asked !== undefined || this.open === 0) return undefined
    this.#asked = this.#made
    return this.#asked
  }

  /** The count to ask for again, as a sign of life of something that takes long. */
  get waiting (): number | undefined {
    return this.#asked
  }

  /** The server gave this back. */
  confirmed (count: number): void {
    if (count !== this.#asked) return
    this.#asked = undefined
    this.#confirmed = Math.max(this.#confirmed, count)
  }
}
