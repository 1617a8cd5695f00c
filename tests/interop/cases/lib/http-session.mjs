// A session over HTTP, made by hand from what PROTOCOL.md says.

import * as frames from '../../lib/frames.mjs'

const concat = parts => Uint8Array.from(parts.flatMap(part => [...part]))

function uint (value) {
  const bytes = []
  while (value > 127) {
    bytes.push(value % 128 + 128)
    value = Math.floor(value / 128)
  }
  return [...bytes, value]
}

/** Items as a body: whole frames, or `{ bytes, more }`. */
export function pack (items) {
  return concat(items.map(item => {
    const { bytes, more } = item instanceof Uint8Array ? { bytes: item, more: false } : item
    return concat([uint(bytes.length * 2 + (more ? 1 : 0)), bytes])
  }))
}

function reader (bytes) {
  let at = 0
  const read = {
    get done () { return at >= bytes.length },
    uint () {
      let value = 0
      for (let factor = 1; ; factor *= 128) {
        const byte = bytes[at++]
        value += (byte % 128) * factor
        if (byte < 128) return value
      }
    },
    bytes (length) { return bytes.subarray(at, at += length) },
    text () { return new TextDecoder().decode(read.bytes(read.uint())) }
  }
  return read
}

function delivery (read) {
  const cursor = read.text()
  const items = []
  while (!read.done) {
    const head = read.uint()
    items.push({ bytes: read.bytes(Math.floor(head / 2)), more: head % 2 === 1 })
  }
  return { cursor, items }
}

/** A request to a session's address: {status, code, body, headers}. */
async function ask (url, { method, body, headers = {} }) {
  const response = await fetch(url, { method, body, headers: { ...(body ? { 'content-type': 'application/octet-stream' } : {}), ...headers } })
  const bytes = new Uint8Array(await response.arrayBuffer())
  let code
  try { code = JSON.parse(new TextDecoder().decode(bytes)).error?.code } catch {}
  return { status: response.status, code, body: bytes, headers: response.headers }
}

export class RawSession {
  /** Opens one. Without success the answer is thrown: {status, code}. */
  static async open (server, doc, { items = [frames.step1()], headers, query = '' } = {}) {
    const answer = await ask(`${server.url}/v1/docs/${encodeURIComponent(doc)}/sessions${query}`, { method: 'POST', body: pack(items), headers })
    if (answer.status !== 201) throw Object.assign(new Error(`refused with ${answer.status} ${answer.code}`), answer)
    const read = reader(answer.body)
    return new RawSession(server, read.text(), read.uint(), delivery(read), items.length)
  }

  constructor (server, name, lease, first, sent) {
    this.server = server
    this.name = name
    this.lease = lease
    this.first = first
    this.next = sent + 1
    this.cursor = first.cursor
  }

  get url () { return `${this.server.url}/v1/sessions/${this.name}` }

  /** Sends items with the next numbers, or with those given. */
  async send (items, { first = this.next, after = '', headers } = {}) {
    const answer = await ask(`${this.url}/frames?first=${first}&after=${after}`, { method: 'POST', body: pack(items), headers })
    if (answer.status === 200) {
      this.next = Math.max(this.next, first + items.length)
      answer.json = JSON.parse(new TextDecoder().decode(answer.body))
    }
    return answer
  }

  /** One poll: {status, cursor, items}. */
  async poll (after = this.cursor) {
    const answer = await ask(`${this.url}/poll?after=${after}`, { method: 'GET' })
    if (answer.status !== 200) return answer
    const { cursor, items } = delivery(reader(answer.body))
    this.cursor = cursor
    return { ...answer, cursor, items }
  }

  /** Opens the stream. The response is given as it is. */
  events ({ after, id, signal } = {}) {
    return fetch(`${this.url}/events${after === undefined ? '' : `?after=${after}`}`, { headers: id === undefined ? {} : { 'last-event-id': id }, signal })
  }

  leave () { return ask(this.url, { method: 'DELETE' }) }
}

/** The messages in items. */
export function messages (items) {
  const whole = []
  let begun = []
  for (const { bytes, more } of items) {
    begun.push(bytes)
    if (more) continue
    whole.push(concat(begun))
    begun = []
  }
  return whole.flatMap(frame => frames.decode(frame))
}

/** Reads a stream until `enough(events)`; resolves with the events so far, each {id, event, data, at}. */
export async function readEvents (response, enough, deadline = 10_000) {
  const events = []
  const comments = []
  let text = ''
  const reading = response.body.getReader()
  const decoder = new TextDecoder()
  const timer = setTimeout(() => reading.cancel().catch(() => {}), deadline)
  try {
    while (!enough(events, comments)) {
      const { done, value } = await reading.read()
      if (done) break
      text += decoder.decode(value, { stream: true })
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        if (block.startsWith(':')) {
          comments.push(block)
          continue
        }
        const event = { at: performance.now() }
        for (const line of block.split('\n')) event[line.slice(0, line.indexOf(':'))] = line.slice(line.indexOf(':') + 2)
        events.push(event)
      }
    }
  } finally {
    clearTimeout(timer)
    reading.cancel().catch(() => {})
  }
  return { events, comments }
}
