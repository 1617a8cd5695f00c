// Watches a document as a dashboard does: server-sent events or long poll, JSON Patch applied to what came before.

import http from 'node:http'
import { waitFor } from './wait.mjs'

/** The pointer of RFC 6901 as a list of keys. */
function keys (pointer) {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) throw new Error(`no pointer: ${pointer}`)
  return pointer.slice(1).split('/').map(key => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** Applies a JSON Patch of additions, removals and replacements (RFC 6902), strictly; returns the new value. */
export function applyPatch (value, patch) {
  const root = { '': structuredClone(value) }
  for (const { op, path, value: operand, ...rest } of patch) {
    if (Object.keys(rest).length > 0) throw new Error(`unknown members ${JSON.stringify(rest)}`)
    const way = ['', ...keys(path)]
    const last = way.pop()
    let parent = root
    for (const key of way) {
      if (parent === null || typeof parent !== 'object' || !Object.hasOwn(parent, key)) throw new Error(`nothing at ${path}`)
      parent = parent[key]
    }
    if (Array.isArray(parent)) {
      const at = Number(last)
      const limit = op === 'add' ? parent.length : parent.length - 1
      if (!/^(0|[1-9]\d*)$/.test(last) || at > limit) throw new Error(`no element ${last} at ${path}`)
      if (op === 'add') parent.splice(at, 0, operand)
      else if (op === 'remove') parent.splice(at, 1)
      else if (op === 'replace') parent[at] = operand
      else throw new Error(`unknown operation ${op}`)
    } else {
      if (op !== 'add' && !Object.hasOwn(parent, last)) throw new Error(`nothing at ${path}`)
      if (op === 'add' || op === 'replace') Object.defineProperty(parent, last, { value: operand, writable: true, enumerable: true, configurable: true })
      else if (op === 'remove') delete parent[last]
      else throw new Error(`unknown operation ${op}`)
    }
  }
  return root['']
}

/** What a watcher knows, by the events it was told. */
class Watched {
  /** {id, name, data} in their order. */
  events = []
  /** The content as it was last told; undefined before. */
  json
  /** Why it is not what the document says now, or null. */
  unreadable = null
  /** {code, reason} once the server has said why it ends. */
  close = null
  /** The id of the last event. */
  id = null

  take ({ id, name, data }) {
    this.events.push({ id, name, data })
    if (id) this.id = id
    if (name === 'snapshot') {
      this.json = data.content
      this.unreadable = data.unreadable ?? null
    } else if (name === 'patch') {
      this.json = applyPatch(this.json, data)
      this.unreadable = null
    } else if (name === 'unreadable') this.unreadable = data.code
    else if (name === 'close') this.close = data
    else throw new Error(`an event that watchers have not: ${name}`)
  }

  names () { return this.events.map(event => event.name) }
}

const pathOf = (name, rest, query) => `/v1/docs/${encodeURIComponent(name)}/watch${rest}${query ? `?${query}` : ''}`

/**
 * Watches by server-sent events; `json` is what is known already, by the id that is given. Resolves when the stream has begun; rejects with `error.status` and
 * `error.code` when refused.
 */
export class Watcher extends Watched {
  #rest = ''
  ended = false
  comments = 0
  /** An error of the reading itself; a server must cause none. */
  error = null

  static async open (server, name, { query = '', headers = {}, json, t } = {}) {
    const watcher = Object.assign(new Watcher(), { json })
    t?.after(() => watcher.drop())
    await new Promise((resolve, reject) => {
      watcher.request = http.get(server.url + pathOf(name, '', query), { headers, agent: false }, response => {
        watcher.response = response
        if (response.statusCode !== 200) {
          const chunks = []
          response.on('data', chunk => chunks.push(chunk))
          response.on('end', () => {
            const body = Buffer.concat(chunks).toString()
            reject(Object.assign(new Error(`refused with ${response.statusCode}: ${body}`), { status: response.statusCode, code: JSON.parse(body).error.code }))
          })
          return
        }
        response.setEncoding('utf8').on('data', text => watcher.#read(text))
        response.on('close', () => { watcher.ended = true })
        response.on('error', () => { watcher.ended = true })
        resolve()
      })
      watcher.request.on('error', reject)
    })
    return watcher
  }

  #read (text) {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop()
    for (const block of blocks) {
      const event = { id: null, name: 'message', data: '' }
      for (const line of block.split('\n')) {
        const at = line.indexOf(':')
        const [field, value] = [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')]
        if (field === '') this.comments++
        else if (field === 'id') event.id = value
        else if (field === 'event') event.name = value
        else if (field === 'data') event.data += value
        else this.error = new Error(`unknown field ${field}`)
      }
      if (event.data === '') continue
      try {
        this.take({ ...event, data: JSON.parse(event.data) })
      } catch (error) {
        this.error ??= error
      }
    }
  }

  /** Stops reading: the connection fills. */
  pause () { this.response.pause() }
  resume () { this.response.resume() }
  drop () { this.request?.destroy() }

  /** Waits until the content is this one. */
  async says (expected, deadline = 10_000) {
    const text = canonical(expected)
    await waitFor(() => this.unreadable === null && this.json !== undefined && canonical(this.json) === text, deadline,
      () => `a watcher to say ${text.slice(0, 500)}, it says ${canonical(this.json ?? null).slice(0, 500)} (${this.unreadable}); ${this.error ?? ''}`)
    if (this.error) throw this.error
  }
}

/** Watches by long poll. */
export class Poller extends Watched {
  constructor (server, name, { headers = {} } = {}) {
    super()
    Object.assign(this, { server, name, headers })
  }

  /** Asks once. Resolves with the status. */
  async poll (after = this.id) {
    const response = await fetch(this.server.url + pathOf(this.name, '/poll', after === null ? '' : `after=${encodeURIComponent(after)}`), { headers: this.headers })
    const body = await response.json()
    if (response.status !== 200) {
      this.refusal = body.error.code
      return response.status
    }
    for (const { id, event, data } of body.events) this.take({ id, name: event, data })
    this.id = body.next
    return 200
  }

  async says (expected, deadline = 10_000) {
    const end = performance.now() + deadline
    while (this.json === undefined || canonical(this.json) !== canonical(expected)) {
      if (performance.now() > end) throw new Error(`a poller says ${canonical(this.json ?? null)} and not ${canonical(expected)}`)
      const status = await this.poll()
      if (status !== 200) throw new Error(`a poll was answered ${status}`)
    }
  }
}

/** JSON with sorted keys. Roots in which nothing is left are left out: whether they are there depends on how they were deleted. */
export function canonical (value) {
  const sorted = v => {
    if (Array.isArray(v)) return v.map(sorted)
    if (v === null || typeof v !== 'object') return v
    return Object.fromEntries(Object.keys(v).sort().map(key => ['.' + key, sorted(v[key])]))
  }
  const isRoots = value !== null && typeof value === 'object' && !Array.isArray(value)
  return JSON.stringify(sorted(isRoots ? Object.fromEntries(Object.entries(value).filter(([, root]) => root !== null)) : value))
}
