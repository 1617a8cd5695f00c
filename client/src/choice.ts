// Which ways to the server are tried, and in what order. There is no telling before: a proxy that blocks WebSockets refuses some,
// lets others hang, and lets some through and nothing on them. So they are tried, best first, the next a moment later, and what
// worked is remembered.

import type { Environment } from './environment.js'
import { TRANSPORTS, type Transport } from './links/link.js'

/** A way to try, so many milliseconds after the first. */
export interface Candidate {
  transport: Transport
  after: number
}

/** How long the first way is tried alone. */
export const FIRST_TRY_MS = 1_000

/** How long the next better way is left alone, at first and at most. */
const BETTER_MS = 15_000
const BETTER_CAP_MS = 600_000

/** What worked is taken for granted so long. Networks change with places. */
const MEMORY_MS = 24 * 3_600_000

export class Choice {
  #environment: Environment
  #key: string
  #allowed: readonly Transport[]
  #worked: Transport | undefined
  #betterTries = 0

  /** @param allowed those that may be tried; of them only those that this environment has are */
  constructor (environment: Environment, server: string, allowed: readonly Transport[]) {
    this.#environment = environment
    this.#key = `quire:transport:${server}`
    this.#allowed = TRANSPORTS.filter(transport => allowed.includes(transport) &&
      (transport === 'websocket' ? environment.WebSocket : environment.fetch) !== undefined)
    if (this.#allowed.length === 0) throw new TypeError('this environment has neither WebSocket nor fetch, or none of them is allowed')
    this.#worked = this.#remembered()
  }

  /** What to try now. `sse` and `poll` are one session, which finds out by itself whether events come through. */
  plan (): Candidate[] {
    const http = this.#allowed.includes('sse') ? 'sse' : 'poll'
    const worked = this.#worked
    if (worked === 'sse' || worked === 'poll') return [{ transport: worked, after: 0 }]
    const ways = this.#allowed.includes('websocket') ? ['websocket' as const] : []
    if (this.#allowed.includes('sse') || this.#allowed.includes('poll')) return [...ways, http].map((transport, i) => ({ transport, after: i * FIRST_TRY_MS } as Candidate))
    return [{ transport: 'websocket', after: 0 }]
  }

  worked (transport: Transport): void {
    if (transport === 'websocket') this.#betterTries = 0
    if (transport === this.#worked) return
    this.#worked = transport
    try {
      this.#environment.storage?.setItem(this.#key, JSON.stringify({ transport, at: this.#environment.now() }))
    } catch {
      // The storage is full or forbidden: it is tried again next time.
    }
  }

  /** None of what was planned worked: everything is tried next time. */
  failed (): void {
    this.#worked = undefined
  }

  /** When a better way than this is to be tried, in milliseconds; `undefined` if there is none. */
  better (transport: Transport): number | undefined {
    if (transport === 'websocket' || !this.#allowed.includes('websocket')) return undefined
    const wait = Math.min(BETTER_CAP_MS, BETTER_MS * 2 ** this.#betterTries)
    this.#betterTries++
    return wait * (0.75 + this.#environment.random() / 2)
  }

  /** The network is another: the better way may be open now. */
  moved (): void {
    this.#betterTries = 0
  }

  #remembered (): Transport | undefined {
    try {
      const { transport, at } = JSON.parse(this.#environment.storage?.getItem(this.#key) ?? '{}') as { transport?: Transport, at?: number }
      const age = this.#environment.now() - (at ?? Number.NaN)
      return transport && this.#allowed.includes(transport) && age >= 0 && age < MEMORY_MS ? transport : undefined
    } catch {
      return undefined
    }
  }
}
