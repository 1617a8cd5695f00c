// One attempt to connect: several ways race, the first that works wins, the others are ended.

import type { Candidate } from './choice.js'
import { type End, GONE, isFinal } from './ends.js'
import type { Environment } from './environment.js'
import type { Link, LinkEvents, Transport } from './links/link.js'

export interface AttemptEvents {
  /** This link works. Its events go to what is returned. */
  won: (link: Link) => LinkEvents
  /** None works; the end that says most. Nothing follows. */
  lost: (end: End) => void
}

/** By then one of the ways works, or none does. */
export const ATTEMPT_MS = 15_000

export class Attempt {
  #events: AttemptEvents
  #environment: Environment
  #open: (transport: Transport, events: LinkEvents) => Link
  #waiting: Candidate[]
  #links = new Set<Link>()
  #timers = new Set<unknown>()
  #over = false
  #end: End | undefined

  constructor (candidates: Candidate[], open: (transport: Transport, events: LinkEvents) => Link, environment: Environment, events: AttemptEvents) {
    this.#open = open
    this.#environment = environment
    this.#events = events
    this.#waiting = [...candidates]
    for (const { after } of candidates) if (after > 0) this.#after(after, () => { this.#next() })
    this.#after(ATTEMPT_MS, () => { this.#lose({ code: GONE, reason: 'the server did not answer' }) })
    this.#next()
  }

  /** Ends it; none of its events comes after. */
  stop (): void {
    this.#over = true
    for (const timer of this.#timers) this.#environment.clearTimeout(timer)
    for (const link of this.#links) link.close()
    this.#links.clear()
  }

  #after (ms: number, run: () => void): void {
    this.#timers.add(this.#environment.setTimeout(run, ms))
  }

  #next (): void {
    const candidate = this.#waiting.shift()
    if (candidate && !this.#over) this.#try(candidate.transport)
  }

  #try (transport: Transport): void {
    let delegate: LinkEvents | undefined
    const link = this.#open(transport, {
      open: () => {
        if (this.#over) return
        this.#links.delete(link)
        this.stop()
        delegate = this.#events.won(link)
        delegate.open()
      },
      frame: frame => delegate?.frame(frame),
      heard: () => delegate?.heard(),
      moved: way => delegate?.moved(way),
      ended: end => {
        if (delegate) delegate.ended(end)
        else this.#failed(link, end)
      }
    })
    this.#links.add(link)
  }

  #failed (link: Link, end: End): void {
    if (this.#over) return
    this.#links.delete(link)
    // Of a WebSocket that was refused nobody says why; of a request the answer does.
    if (this.#end === undefined || this.#end.code === GONE) this.#end = end
    if (isFinal(end)) this.#lose(end)
    else if (this.#waiting.length > 0) this.#next()
    else if (this.#links.size === 0) this.#lose(this.#end)
  }

  #lose (end: End): void {
    if (this.#over) return
    this.stop()
    this.#events.lost(end)
  }
}
