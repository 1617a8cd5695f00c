// What is shown to the server, and whose it is.

import type { Credential, QuireOptions } from './options.js'
import { subject } from './tabs.js'

/** How a credential goes along with the opening of a connection: in the query, or, where that is possible, in headers. */
export interface Shown {
  query: Record<string, string>
  headers: Record<string, string>
}

export class Credentials {
  #token: string | Credential | undefined
  #ticket: Credential | undefined
  #given: string | undefined
  /** The token of this attempt: its connections share it. */
  #current: Promise<string | null | undefined> | undefined
  #shown: string | null | undefined
  #refresh = false

  constructor ({ token, ticket, identity }: QuireOptions) {
    this.#token = token
    this.#ticket = ticket
    this.#given = identity
  }

  /** A new attempt begins, for which the application is asked anew. */
  renew (): void {
    this.#current = undefined
  }

  /** Gets what one connection is to show. Rejects if the application cannot give it. */
  async next (): Promise<Shown> {
    const request = { refresh: this.#refresh }
    if (this.#ticket) {
      const ticket = await this.#ticket(request)
      return { query: ticket ? { ticket } : {}, headers: {} }
    }
    const token = this.#token
    this.#current ??= (async () => typeof token === 'function' ? await token(request) : token)()
    this.#shown = await this.#current
    return this.#shown
      ? { query: { token: this.#shown }, headers: { authorization: `Bearer ${this.#shown}` } }
      : { query: {}, headers: {} }
  }

  /** They were not taken. `false` if there is no way to get others. */
  refused (): boolean {
    this.#refresh = true
    return typeof this.#token === 'function' || this.#ticket !== undefined
  }

  accepted (): void {
    this.#refresh = false
  }

  /** Whose they are; `undefined` if that cannot be told. */
  get identity (): string | undefined {
    if (this.#given !== undefined) return `given ${this.#given}`
    if (this.#ticket === undefined && this.#token === undefined) return 'anonymous'
    const sub = this.#shown ? subject(this.#shown) : undefined
    return sub === undefined ? undefined : `sub ${sub}`
  }
}
