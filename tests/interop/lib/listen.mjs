// Listeners to the server's events: as a stream and by long poll, with what came and when.

import { waitFor } from './wait.mjs'

/**
 * Listens until it is closed, or the test ends. Goes on by itself with the last id when `resume` is not false.
 * @param {{ url: string }} server
 * @param {string} path such as /v1/docs/a/events
 * @param {{ t?: import('node:test').TestContext, token?: string, way?: 'sse' | 'poll', after?: string, resume?: boolean,
 *   heard?: (event: object) => void }} options `heard` is told each event as it comes
 */
export function listen (server, path, options = {}) {
  const listener = new Listener(server, path, options)
  options.t?.after(() => listener.close())
  listener.run()
  return listener
}

export class Listener {
  /** Everything that came: {event, id, data, at}. */
  events = []
  /** Statuses of the answers. */
  statuses = []
  comments = 0
  lastId
  #abort = new AbortController()
  #paused = null
  #open = true

  constructor (server, path, { token, way = 'sse', after, resume = true, heard = () => {} } = {}) {
    Object.assign(this, { server, path, token, way, resume, heard })
    this.lastId = after
  }

  async run () {
    while (this.#open) {
      try {
        await (this.way === 'sse' ? this.#stream() : this.#poll())
      } catch (error) {
        if (!this.#open) return
        this.error = error
      }
      if (!this.resume) return
      if (this.#open && this.statuses.at(-1) !== 200) await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  get #headers () {
    return {
      ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
      ...(this.lastId !== undefined && this.way === 'sse' ? { 'last-event-id': this.lastId } : {})
    }
  }

  async #stream () {
    const response = await fetch(this.server.url + this.path, { headers: this.#headers, signal: this.#abort.signal })
      .catch(error => { this.statuses.push(0); throw error })
    this.statuses.push(response.status)
    if (response.status !== 200) {
      this.refusal = await response.json()
      return
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    for (;;) {
      if (this.#paused) await this.#paused
      const { value, done } = await reader.read()
      if (done) return
      text += value
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) this.#take(text.slice(0, end))
    }
  }

  #take (block) {
    const event = { event: 'message', id: undefined, data: '', at: performance.now() }
    for (const line of block.split('\n')) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line)
      if (field === '') this.comments++
      else event[field] = value
    }
    if (event.data === '') return
    event.data = JSON.parse(event.data)
    if (event.id !== undefined) this.lastId = event.id
    this.#add(event)
  }

  async #poll () {
    const query = this.lastId === undefined ? '' : `?after=${encodeURIComponent(this.lastId)}`
    const response = await fetch(`${this.server.url}${this.path}/poll${query}`, { headers: this.#headers, signal: this.#abort.signal })
      .catch(error => { this.statuses.push(0); throw error })
    this.statuses.push(response.status)
    const answer = await response.json()
    if (response.status !== 200) {
      this.refusal = answer
      return
    }
    this.lastId = answer.next
    for (const event of answer.events) this.#add({ ...event, at: performance.now() })
  }

  #add (event) {
    this.events.push(event)
    this.heard(event)
  }

  /** Reads nothing more until the returned function is called. */
  pause () {
    let go
    this.#paused = new Promise(resolve => { go = resolve }).then(() => { this.#paused = null })
    return go
  }

  /** Events of this name, or all but the signs of life. */
  of (name) { return this.events.filter(({ event }) => name === undefined || event === name) }

  /** Waits for an event that matches, behind the first `from` of them. */
  async next (name, matches = () => true, { deadline = 10_000, from = 0 } = {}) {
    return waitFor(() => this.events.slice(from).find(({ event, data }) => event === name && matches(data)), deadline,
      () => `an event ${name}; there were ${JSON.stringify(this.events.slice(from)).slice(0, 2_000)}, ${this.statuses.slice(-5)}, ${this.error ?? ''}`)
  }

  close () {
    this.#open = false
    this.#abort.abort()
  }
}

/** Who is there, by the events that came: the snapshot, and what was told since. */
export function peopleOf (listener) {
  let people = new Map()
  for (const { event, data } of listener.events) {
    if (event === 'presence') people = new Map(data.people.map(person => [person.person, { ...person }]))
    else if (event === 'join' || event === 'change') people.set(data.person, { ...data })
    else if (event === 'leave') people.delete(data.person)
    else if (event === 'typing') Object.assign(people.get(data.person) ?? {}, { typing: data.typing })
  }
  return people
}
