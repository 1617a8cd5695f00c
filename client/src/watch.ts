// Whether the server is still there. A dead line does not say so: nothing comes, and what is sent goes nowhere.

import type { Environment } from './environment.js'

const TICK_MS = 3_000

/** The server is never silent for more than 25 s. */
const SILENCE_MS = 35_000

/** Something was sent so long ago and nothing has come since: time to ask. */
const UNANSWERED_MS = 10_000

/** A question is answered by then. */
const ANSWER_MS = 5_000

/** A clock that is so much later than expected means that the machine slept, or that the page was frozen. */
const JUMP_MS = 12_000

export interface WatchEvents {
  /** Ask the server for a sign of life. */
  ask: () => void
  /** The connection is dead. */
  dead: () => void
  /** Time has passed without us. */
  woke: () => void
}

export class Watch {
  #environment: Environment
  #events: WatchEvents
  #timer: unknown
  #ticked = 0
  /** Whether there is a connection to watch. */
  #watching = false
  #heard = 0
  /** When something was sent after which nothing has come. */
  #sent: number | undefined
  #asked: number | undefined

  constructor (environment: Environment, events: WatchEvents) {
    this.#environment = environment
    this.#events = events
  }

  start (): void {
    this.stop()
    this.#ticked = this.#environment.now()
    this.#timer = this.#environment.setTimeout(() => { this.#tick() }, TICK_MS)
  }

  stop (): void {
    this.#environment.clearTimeout(this.#timer)
    this.#watching = false
  }

  connected (): void {
    this.#watching = true
    this.heard()
  }

  disconnected (): void {
    this.#watching = false
  }

  heard (): void {
    this.#heard = this.#environment.now()
    this.#asked = undefined
    this.#sent = undefined
  }

  sent (): void {
    this.#sent ??= this.#environment.now()
  }

  /** Something hints that the connection may be dead. */
  doubt (): void {
    if (!this.#watching || this.#asked !== undefined) return
    this.#asked = this.#environment.now()
    this.#events.ask()
    // Sooner than the next tick may be, in a page that was just woken.
    this.#environment.clearTimeout(this.#timer)
    this.#timer = this.#environment.setTimeout(() => { this.#tick() }, ANSWER_MS)
  }

  #tick (): void {
    const now = this.#environment.now()
    const jumped = now - this.#ticked > TICK_MS + JUMP_MS || now < this.#ticked
    this.#ticked = now
    this.#timer = this.#environment.setTimeout(() => { this.#tick() }, TICK_MS)
    if (this.#watching) {
      const unanswered = this.#asked !== undefined && now - this.#asked >= ANSWER_MS
      if (now - this.#heard >= SILENCE_MS || unanswered) {
        this.#watching = false
        this.#events.dead()
      } else if (this.#sent !== undefined && now - this.#sent >= UNANSWERED_MS) {
        this.doubt()
      }
    }
    if (jumped) this.#events.woke()
  }
}
