// Who is here and who types, on top of awareness.

import type { Awareness } from 'y-protocols/awareness'
import { type Environment, Timers } from './environment.js'

/** Typing goes out at most this often. */
const SAY_MS = 1_000

/** Typing ends this long after the last key. */
const TYPING_MS = 3_000

/** Others, by their own clocks, take it for ended this long after its last sign of life, should no end come. */
const SILENT_MS = 3_500

/** Somebody in the document. */
export interface Person {
  /** What they said of themselves: the awareness field `user`. */
  user: Record<string, unknown>
  /** Their tabs, by client id. */
  clients: number[]
  isTyping: boolean
  isSelf: boolean
}

export class Presence {
  #awareness: Awareness
  #environment: Environment
  #timers: Timers<'stop' | 'expire'>
  #changed: () => void
  #said = 0
  /** When the field of a client was last seen to change, and what it was. */
  #typing = new Map<number, { value: unknown, until: number }>()

  /** @param changed somebody began or ended to type */
  constructor (awareness: Awareness, environment: Environment, changed: () => void) {
    this.#awareness = awareness
    this.#environment = environment
    this.#timers = new Timers(environment)
    this.#changed = changed
    awareness.on('change', this.#look)
    this.#look()
  }

  /** Says that somebody types here, or no longer does. To be called on every key: little of it goes out. */
  setTyping (typing: boolean): void {
    const now = this.#environment.now()
    if (!typing) {
      this.#timers.stop('stop')
      this.#said = 0
      if (this.#awareness.getLocalState()?.['typing'] != null) this.#awareness.setLocalStateField('typing', null)
      return
    }
    this.#timers.set('stop', TYPING_MS, () => { this.setTyping(false) })
    if (now - this.#said < SAY_MS) return
    this.#said = now
    // Any value that differs from the last one: only that it changes counts, since no two clocks agree.
    this.#awareness.setLocalStateField('typing', now)
  }

  /** The people in the document; tabs of one person (the same `user.id`) are one. */
  people (): Person[] {
    const now = this.#environment.now()
    const people = new Map<string, Person>()
    for (const [client, state] of this.#awareness.getStates()) {
      const user = state['user'] as Record<string, unknown> | undefined
      if (!user) continue
      const key = user['id'] === undefined ? `client ${client}` : `user ${JSON.stringify(user['id'])}`
      const person = people.get(key) ?? { user, clients: [], isTyping: false, isSelf: false }
      person.clients.push(client)
      person.isTyping ||= (this.#typing.get(client)?.until ?? 0) > now
      person.isSelf ||= client === this.#awareness.clientID
      people.set(key, person)
    }
    return [...people.values()]
  }

  destroy (): void {
    this.#awareness.off('change', this.#look)
    this.#timers.clear()
  }

  #look = (): void => {
    const now = this.#environment.now()
    const states = this.#awareness.getStates()
    let changed = false
    for (const [client, state] of states) {
      const value: unknown = state['typing'] ?? null
      const known = this.#typing.get(client)
      if (value === null) {
        changed = this.#end(client, now) || changed
      } else if (known?.value !== value) {
        changed ||= (known?.until ?? 0) <= now
        this.#typing.set(client, { value, until: now + SILENT_MS })
      }
    }
    for (const client of this.#typing.keys()) if (!states.has(client)) changed = this.#end(client, now) || changed
    this.#expireNext(now)
    if (changed) this.#changed()
  }

  /** `true` if it was not taken for ended before. */
  #end (client: number, now: number): boolean {
    const known = this.#typing.get(client)
    this.#typing.delete(client)
    return known !== undefined && known.until > now
  }

  /** A tab that froze or died says nothing: others end its typing by themselves. */
  #expireNext (now: number): void {
    const next = Math.min(...[...this.#typing.values()].map(({ until }) => until).filter(until => until > now))
    if (next === Infinity) return this.#timers.stop('expire')
    this.#timers.set('expire', next - now, () => {
      const then = this.#environment.now()
      // A timer may come a little early; then nothing has ended yet.
      if (next <= then) this.#changed()
      this.#expireNext(then)
    })
  }
}
