// The recorded vectors in tests/vectors, and the replay of wire recordings against a server.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as Y from 'yjs'
import { compare, deletes, passiveDoc, stateVector } from './compare.mjs'
import * as frames from './frames.mjs'
import { documentUrl, RawClient } from './raw.mjs'
import { repoRoot } from './server.mjs'
import { waitFor } from './wait.mjs'

const folder = join(repoRoot, 'tests', 'vectors')

export const load = name => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
/** The recordings of that kind, such as 'yws'. */
export const recordings = prefix => readdirSync(folder).filter(f => f.startsWith(`${prefix}-`) && f.endsWith('.json')).sort().map(f => f.slice(0, -5))

/** One replayed connection and what it ought to know. */
class Replayed {
  /** Sync payloads this connection sent, and those the recording says it received. */
  sent = []
  recorded = []
  /** Presence this connection announced itself: id -> the last {clock, state}. */
  own = new Map()
  /** The presence ids a client learnt from others: it sends them back, which announces nothing. */
  foreign = new Set()
  asked = 0
  answered = 0
  open = true

  constructor (raw) { this.raw = raw }

  #document (payloads) {
    const doc = passiveDoc()
    for (const payload of payloads) Y.applyUpdate(doc, payload)
    return doc
  }

  #received () { return this.raw.messages.filter(m => m.kind === 'update' || m.kind === 'step2').map(m => m.payload) }
  /** What the client behind this connection holds now. */
  document () { return this.#document([...this.sent, ...this.#received()]) }

  /** Holds that everything the recording delivered so far has been delivered, in whatever pieces. */
  async expectContent () {
    const wanted = this.#document([...this.sent, ...this.recorded])
    await waitFor(() => {
      const now = this.document()
      const vector = stateVector(now)
      assert.ok(Object.entries(stateVector(wanted)).every(([client, clock]) => (vector[client] ?? 0) >= clock))
      const covered = (ranges, [clock, length]) => ranges.some(([from, len]) => from <= clock && clock + length <= from + len)
      const set = deletes(now)
      assert.ok(Object.entries(deletes(wanted)).every(([client, ranges]) => ranges.every(range => covered(set[client] ?? [], range))))
      return true
    }, 5_000, () => `the recorded content: ${this.raw.describe()}`)
  }

  /** Fences: the server has taken everything sent so far. */
  async fence () {
    if (!this.open) return
    this.asked++
    this.answered++
    await this.raw.fence()
  }
}

/**
 * Replays one y-websocket recording: sends what the clients sent, and expects by meaning what they got.
 *
 * What a better server does otherwise than the recorded one: presence is not sent back to its sender; the first real presence entry
 * of a connection is answered with null at the same clock; whoever set a presence last owns it, so its connection's end removes it.
 *
 * @returns {Promise<Map<string, Replayed>>}
 */
export async function replay (server, recording, name, { prefix = '/ws' } = {}) {
  const url = documentUrl(server, name, { prefix })
  const connections = new Map()
  let last = null
  try {
    for (const step of recording.steps) {
      if (step.dir === '-') continue
      const where = `${recording.name} step ${step.n} (${step.conn} ${step.dir} ${step.meaning ?? step.line ?? step.type})`
      if (step.dir === 'c2s' && last !== null && step.conn !== last) await connections.get(last)?.fence()
      if (step.type === 'http') {
        if (step.dir === 'c2s') connections.set(step.conn, new Replayed(await RawClient.connect(url)))
        continue
      }
      const connection = connections.get(step.conn)
      assert.ok(connection, where)
      try {
        if (step.dir === 'c2s') {
          last = step.conn
          await act(connection, step)
        } else {
          await expectStep(connection, step)
        }
      } catch (error) {
        throw new Error(`${where}: ${error.message}`, { cause: error })
      }
    }
    await verdict(connections, url, recording.name)
    return connections
  } finally {
    for (const { raw } of connections.values()) raw.drop()
  }
}

async function act (connection, step) {
  switch (step.type) {
    case 'tcp-close':
      // The recorded clients had heard back before they were cut.
      await connection.fence()
      connection.raw.drop()
      connection.open = false
      return
    case 'close':
      connection.open = false
      await connection.raw.close(step.code ?? 1000)
      return
    case 'binary':
      for (const message of frames.decode(frames.fromHex(step.hex))) {
        if (message.kind === 'step1') connection.asked++
        if (message.kind === 'update' || message.kind === 'step2') connection.sent.push(message.payload)
        if (message.kind === 'awareness') {
          for (const { id, clock, state } of message.entries) if (!connection.foreign.has(id)) connection.own.set(id, { clock, state })
        }
      }
      await connection.raw.send(step.hex)
      return
    default:
      throw new Error(`cannot replay a ${step.type}`)
  }
}

async function expectStep (connection, step) {
  const { raw } = connection
  if (step.type === 'close') {
    await raw.whenClosed()
    return
  }
  for (const message of frames.decode(frames.fromHex(step.hex))) {
    switch (message.kind) {
      case 'step1':
        await raw.expect(got => got.kind === 'step1' && JSON.stringify(stateVector(got.stateVector)) === JSON.stringify(stateVector(message.stateVector)),
          5_000, `a SyncStep1 with ${JSON.stringify(stateVector(message.stateVector))}`)
        break
      case 'step2':
        connection.answered++
        await waitFor(() => raw.messages.filter(got => got.kind === 'step2').length >= connection.answered, 5_000, () => `answer ${connection.answered}; ${raw.describe()}`)
        connection.recorded.push(message.payload)
        await connection.expectContent()
        break
      case 'update':
        connection.recorded.push(message.payload)
        await connection.expectContent()
        break
      case 'awareness':
        for (const entry of message.entries) {
          const own = connection.own.get(entry.id)
          // An echo need not come back; the null that repairs presence must.
          if (own && (entry.state !== null || own.state === null)) continue
          if (!own) connection.foreign.add(entry.id)
          await raw.expect(got => got.kind === 'awareness' && got.entries.some(e => sameEntry(e, entry)), 5_000, `presence ${JSON.stringify(entry)}`)
        }
        break
      default:
        throw new Error(`unexpected ${message.kind} in a recording`)
    }
  }
}

const sameEntry = (a, b) => a.id === b.id && a.clock === b.clock && JSON.stringify(a.state) === JSON.stringify(b.state)

/** What must hold at the end of every replay. */
async function verdict (connections, url, name) {
  for (const connection of connections.values()) await connection.fence()
  const joiner = await RawClient.connect(url)
  try {
    // All content, whoever sent it, and nothing else.
    const all = passiveDoc()
    for (const { sent } of connections.values()) for (const payload of sent) Y.applyUpdate(all, payload)
    const copy = passiveDoc()
    Y.applyUpdate(copy, await joiner.read())
    compare(copy, all, `${name}: the server copy and what was sent`)

    // Only those who are connected are present, with what they said last.
    const alive = [...connections.values()].filter(c => c.open).flatMap(c => [...c.own]).filter(([, { clock, state }]) => state !== null && clock > 0)
    const expected = Object.fromEntries(alive.map(([id, { state }]) => [id, state]))
    await joiner.send(frames.queryAwareness())
    await waitFor(() => {
      const seen = Object.fromEntries([...joiner.presence()].filter(([, { clock, state }]) => state !== null && clock > 0).map(([id, { state }]) => [id, state]))
      assert.deepEqual(seen, expected)
      return true
    }, 5_000, () => `${name}: presence ${JSON.stringify(expected)} for a newcomer; ${joiner.describe()}`)
  } finally {
    joiner.drop()
  }
  for (const [label, { raw, own, open, asked }] of connections) {
    assert.deepEqual(raw.bad, [], `${name} ${label}: undecodable frames`)
    const presence = raw.messages.filter(m => m.kind === 'awareness').flatMap(m => m.entries)
    for (const [id, { state }] of own) {
      // (What a former connection of the same client said may be told to the new one on joining.)
      const former = [...connections.values()].some(other => other.raw !== raw && other.own.has(id))
      if (state !== null && !former) assert.ok(!presence.some(e => sameEntry(e, { id, ...own.get(id) })), `${name} ${label}: its own presence came back to it`)
    }
    if (open) assert.equal(raw.messages.filter(m => m.kind === 'step2').length, asked, `${name} ${label}: one answer to each question`)
  }
}
