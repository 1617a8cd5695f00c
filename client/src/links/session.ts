// Frames over HTTP: a session on the server, requests that bring frames up, and events or polls that bring them down. How it
// works is in crates/sync-protocol/PROTOCOL.md, "Sessions over HTTP".

import { type End, GONE, endOf } from '../ends.js'
import { type Environment, Timers } from '../environment.js'
import { Assembler, type Delivery, type Item, ITEM_BYTES, pack, split, unpack, unpackOpening } from '../items.js'
import { type StreamEvent, StreamParser } from '../stream.js'
import type { Link, LinkEvents, Opening, Transport, Urgency } from './link.js'
import { type Deadline, Requests } from './requests.js'
import { Upstream } from './upstream.js'

/** The least time between two requests of a kind: what comes meanwhile goes together. */
const PACE_MS = { sse: 80, poll: 450 }

/** The server has answered its opening by then. */
const OPENING_MS = 10_000

/** By then the first byte of events is here, or something on the way keeps them back. */
const FIRST_BYTE_MS = 3_000

/** So long may an event stay behind the server's word that it was sent. */
const BEHIND_MS = 4_000

/** The server answers a poll after 25 s at the latest. */
const POLL_MS = 35_000

/** A request with frames takes as long as a slow line needs for an item or two. */
const FRAMES_MS = 60_000

/** The share of its lease after which a session is kept by a request: one may be late. */
const HEARTBEAT = 22 / 45

/** The server keeps what is not acknowledged, and stops at a mebibyte, or at half of one. */
const ACKNOWLEDGE_BYTES = ITEM_BYTES

/** What an item counts there beside its bytes: very many small ones fill it, too. */
const ENTRY_BYTES = 64

/** A session is given up after so many failures in a row, within about three seconds. */
const FAILURES = 4
const FAILURE_MS = 75

export interface SessionAddress {
  /** Where sessions are opened, with credentials in its query if they go there. */
  open: string
  headers: Record<string, string>
  session: (id: string) => string
}

export class SessionLink implements Link {
  #address: SessionAddress
  #environment: Environment
  #events: LinkEvents
  #transport: 'sse' | 'poll'
  #timers: Timers<'frames' | 'heartbeat' | 'behind'>
  #up: Requests
  #down: Requests
  #upstream = new Upstream()
  #assembler = new Assembler()
  #ended = false
  #url = ''
  #cursor = ''
  /** Milliseconds between two requests at most. */
  #heartbeat = 0
  #unacknowledged = 0
  #sending = false
  #lastSent = 0
  #failures = 0
  /** End the pauses between requests. */
  #pauses = new Set<() => void>()
  #hasStreamed = false
  /** When the stream last brought bytes. */
  #streamed = 0
  /** It goes on by polls, and no poll has shown yet that they are better. */
  #onTrial = false

  constructor (transport: 'sse' | 'poll', address: SessionAddress, environment: Environment, { events, frames }: Opening) {
    this.#transport = transport
    this.#address = address
    this.#environment = environment
    this.#events = events
    this.#timers = new Timers(environment)
    this.#up = new Requests(environment)
    this.#down = new Requests(environment)
    for (const frame of frames()) this.#upstream.add(frame, 'edit')
    this.#open().catch(() => { this.#end({ code: GONE, reason: 'the server cannot be reached' }) })
  }

  get transport (): Transport {
    return this.#transport
  }

  send (frame: Uint8Array, urgency: Urgency): void {
    this.#upstream.add(frame, urgency)
    this.#schedule()
  }

  close (): void {
    this.#stop()
    if (this.#url === '') return
    // Nobody waits for the answer; without it the session ends by itself.
    new Requests(this.#environment).make(this.#url, { method: 'DELETE', deadline: 5_000, keepalive: true }, async () => {}).catch(() => {})
  }

  #stop (): void {
    this.#ended = true
    this.#timers.clear()
    for (const done of [...this.#pauses]) done()
    this.#up.abort()
    this.#down.abort()
  }

  #end (end: End): void {
    if (this.#ended) return
    this.#stop()
    this.#events.ended(end)
  }

  async #open (): Promise<void> {
    const { items } = this.#upstream.batch()
    const { open: url, headers } = this.#address
    await this.#up.make(url, { method: 'POST', headers, body: pack(items), deadline: OPENING_MS }, async response => {
      if (!response.ok) {
        this.#end(await endOf(response))
        return
      }
      const { session, lease, delivery } = unpackOpening(new Uint8Array(await response.arrayBuffer()))
      if (this.#ended) return
      this.#url = this.#address.session(session)
      this.#heartbeat = lease * HEARTBEAT
      this.#upstream.received(items.length)
      this.#lastSent = this.#environment.now()
      this.#events.open()
      this.#take(delivery)
      this.#schedule()
      void this.#receive()
    })
  }

  // --- Down ---

  async #receive (): Promise<void> {
    while (!this.#ended) {
      const began = this.#environment.now()
      try {
        if (this.#transport === 'sse') {
          await this.#stream()
        } else {
          await this.#poll()
          await this.#pause(began + PACE_MS.poll - this.#environment.now())
        }
      } catch {
        await this.#failed()
      }
    }
  }

  async #poll (): Promise<void> {
    await this.#down.make(`${this.#url}/poll?after=${this.#cursor}`, { method: 'GET', deadline: POLL_MS }, async response => {
      if (!response.ok) return await this.#refused(response)
      const bytes = new Uint8Array(await response.arrayBuffer())
      this.#failures = 0
      if (this.#ended) return
      if (this.#onTrial) {
        this.#onTrial = false
        this.#events.moved('poll')
      }
      this.#events.heard()
      this.#take(unpack(bytes))
    })
  }

  async #stream (): Promise<void> {
    let flows = false
    try {
      await this.#down.make(`${this.#url}/events?after=${this.#cursor}`, { method: 'GET', deadline: FIRST_BYTE_MS }, async (response, late) => {
        if (!response.ok || response.body === null) return await this.#refused(response)
        const parser = new StreamParser()
        const reader = response.body.getReader()
        for (;;) {
          const { done, value } = await reader.read()
          if (done || this.#ended) return
          if (!flows) this.#flows(late)
          flows = true
          this.#streamed = this.#environment.now()
          this.#events.heard()
          for (const event of parser.push(value)) this.#event(event)
        }
      })
    } catch (error) {
      if (this.#transport === 'poll' || this.#ended) return
      if (flows || this.#hasStreamed) throw error
      this.#move()
    }
    // The server ends a stream when another took its place, or the session is over: the next request tells.
    await this.#pause(FAILURE_MS)
  }

  #flows (late: Deadline): void {
    late.never()
    this.#hasStreamed = true
    this.#failures = 0
  }

  /** What is sent does not come as events: on with polls, from where we are. */
  #move (): void {
    this.#transport = 'poll'
    this.#onTrial = true
    this.#down.abort()
  }

  #event ({ id, event, data }: StreamEvent): void {
    if (event === 'close') {
      const { code, reason } = JSON.parse(data) as End
      this.#end({ code, reason })
    } else if (id !== '') {
      this.#item({ bytes: Uint8Array.from(atob(data), c => c.charCodeAt(0)), more: event === 'part' }, id)
      if (this.#unacknowledged >= ACKNOWLEDGE_BYTES) this.#schedule()
    }
  }

  #take ({ cursor, items }: Delivery): void {
    for (const item of items) this.#item(item, cursor)
    this.#cursor = cursor
  }

  #item (item: Item, cursor: string): void {
    this.#cursor = cursor
    this.#unacknowledged += item.bytes.length + ENTRY_BYTES
    const frame = this.#assembler.add(item)
    if (frame && !this.#ended) this.#events.frame(frame)
  }

  // --- Up ---

  /** Sees to it that what waits goes out, soon but not too often. */
  #schedule (): void {
    if (this.#ended || this.#url === '' || this.#sending) return
    const since = this.#environment.now() - this.#lastSent
    const isFull = this.#transport === 'sse' && this.#unacknowledged >= ACKNOWLEDGE_BYTES
    if (this.#upstream.hasWork || isFull) {
      if (!this.#timers.has('frames')) this.#timers.set('frames', Math.max(0, PACE_MS[this.#transport] - since), () => { void this.#frames() })
    }
    this.#timers.set('heartbeat', Math.max(0, this.#heartbeat - since), () => {
      if (this.#transport === 'sse' || this.#upstream.hasRenewal) void this.#frames()
      else this.#timers.stop('heartbeat')
    })
  }

  async #frames (): Promise<void> {
    if (this.#sending || this.#ended) return
    this.#sending = true
    this.#timers.stop('frames')
    const { first, items } = this.#upstream.batch()
    const acknowledged = this.#unacknowledged
    this.#lastSent = this.#environment.now()
    const url = `${this.#url}/frames?first=${first}&after=${this.#cursor}`
    try {
      await this.#up.make(url, { method: 'POST', body: pack(items), deadline: FRAMES_MS }, async response => {
        if (!response.ok) return await this.#refused(response)
        const { received, sent } = await response.json() as { received: number, sent: number }
        this.#failures = 0
        this.#unacknowledged -= acknowledged
        this.#upstream.received(received)
        this.#events.heard()
        this.#compare(sent)
      })
    } catch {
      await this.#failed()
    }
    this.#sending = false
    this.#schedule()
  }

  /** The server says that it has sent this much: events that never come are kept back on the way. */
  #compare (sent: number): void {
    const taken = (): number => Number(this.#cursor.slice(this.#cursor.lastIndexOf('.') + 1))
    if (this.#transport !== 'sse' || sent <= taken() || this.#timers.has('behind')) return
    this.#timers.set('behind', BEHIND_MS, () => {
      if (taken() >= sent) return
      // A large event on a slow line comes in pieces.
      if (this.#environment.now() - this.#streamed < BEHIND_MS) this.#compare(sent)
      else this.#move()
    })
  }

  // --- Trouble ---

  async #refused (response: Response): Promise<void> {
    const end = await endOf(response)
    // Not Quire's word: a proxy has none to send to, or takes no events.
    if (end.code === GONE) throw new Error(end.reason)
    this.#end(end)
  }

  async #failed (): Promise<void> {
    if (this.#ended) return
    this.#failures++
    if (this.#failures > FAILURES) this.#end({ code: GONE, reason: 'the connection to the server was lost' })
    else await this.#pause(FAILURE_MS * 2 ** this.#failures * (0.5 + this.#environment.random()))
  }

  #pause (ms: number): Promise<void> {
    if (this.#ended || ms <= 0) return Promise.resolve()
    return new Promise(resolve => {
      const done = (): void => {
        this.#environment.clearTimeout(timer)
        this.#pauses.delete(done)
        resolve()
      }
      const timer = this.#environment.setTimeout(done, ms)
      this.#pauses.add(done)
    })
  }
}
