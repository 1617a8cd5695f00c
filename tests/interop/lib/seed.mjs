// Randomness from a seed. A failing test prints its seed; QUIRE_SEED=<seed> replays it.

/** The seed of this run: QUIRE_SEED, else a fresh one. */
export const runSeed = process.env.QUIRE_SEED !== undefined && process.env.QUIRE_SEED !== ''
  ? Number(process.env.QUIRE_SEED)
  : Math.floor(Math.random() * 2 ** 31)

if (!Number.isSafeInteger(runSeed)) throw new Error(`QUIRE_SEED must be a whole number, not ${process.env.QUIRE_SEED}`)

/** True when the seed was given from outside: then exactly that history is to be run. */
export const seedGiven = process.env.QUIRE_SEED !== undefined && process.env.QUIRE_SEED !== ''

/** A deterministic generator (sfc32 seeded through splitmix32). Not for secrets. */
export class Random {
  #a
  #b
  #c
  #d = 1

  constructor (seed) {
    this.seed = seed
    let x = (seed ^ Math.floor(seed / 2 ** 32)) | 0
    const splitmix = () => {
      x = (x + 0x9e3779b9) | 0
      let t = x ^ (x >>> 16)
      t = Math.imul(t, 0x21f0aaad)
      t ^= t >>> 15
      t = Math.imul(t, 0x735a2d97)
      return (t ^ (t >>> 15)) | 0
    }
    this.#a = splitmix()
    this.#b = splitmix()
    this.#c = splitmix()
    for (let i = 0; i < 12; i++) this.u32()
  }

  u32 () {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t | 0
    return t >>> 0
  }

  /** In [0, 1). */
  float () { return this.u32() / 2 ** 32 }
  /** A whole number in [min, max]. */
  int (min, max) { return min + Math.floor(this.float() * (max - min + 1)) }
  chance (probability) { return this.float() < probability }
  pick (list) { return list[this.int(0, list.length - 1)] }
  bytes (length) { return Uint8Array.from({ length }, () => this.int(0, 255)) }
  /** A shuffled copy. */
  shuffle (list) {
    const copy = [...list]
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [copy[i], copy[j]] = [copy[j], copy[i]]
    }
    return copy
  }

  /** An independent generator for one part, so that shrinking one part does not shift the others. */
  fork (salt) { return new Random((this.seed * 1_000_003 + salt) % Number.MAX_SAFE_INTEGER) }
}
