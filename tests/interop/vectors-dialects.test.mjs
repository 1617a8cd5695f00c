// The recordings of Hocuspocus and y-sweet clients, replayed against the server: what the clients sent is sent, and what they got is
// expected by meaning. What a better server does otherwise: an update is not given back to a Hocuspocus client, statuses do not
// overtake the answer to a question, a y-sweet version does not come back before everything that it counts is stored.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, deletes, openClient, passiveDoc, stateVector, waitFor } from './lib/client.mjs'
import * as frames from './lib/frames.mjs'
import * as hp from './lib/hocuspocus-frames.mjs'
import { start } from './lib/server.mjs'
import { token } from './lib/token.mjs'
import { load, recordings } from './lib/vectors.mjs'

const SECRET = 'a secret of thirty-two bytes or more'
const everything = access => token(SECRET, { sub: 'somebody', docs: [{ prefix: '', access }] })
/** The recorded server took these for what they say. */
const TOKENS = { bad: 'bad', 'bad-reason': 'bad', revoked: 'bad', ro: everything('read') }
const tokenFor = recorded => TOKENS[recorded] ?? everything('write')

/** What one connection knows of one document. */
class Place {
  sent = []
  recorded = []
  own = new Set()
  counts = {}
  acknowledged = 0
  constructor (raw, address) { this.raw = raw; this.address = address }
  got (kind) { return this.raw.frames().filter(m => m.address === this.address && m.kind === kind) }
  count (kind) { return (this.counts[kind] = (this.counts[kind] ?? 0) + 1) }

  async expect (kind, fits = () => true) {
    const wanted = this.count(kind)
    await waitFor(() => this.got(kind).filter(fits).length >= Math.min(wanted, 1) && this.got(kind).length >= wanted, 5_000, () => `${wanted} of ${kind} at ${JSON.stringify(this.address)}; got ${JSON.stringify(this.raw.frames().map(m => `${m.address} ${m.kind}`))}`)
  }

  async expectContent (payload) {
    this.recorded.push(payload)
    const doc = payloads => { const doc = passiveDoc(); for (const update of payloads) Y.applyUpdate(doc, update); return doc }
    const wanted = doc([...this.sent, ...this.recorded])
    await waitFor(() => {
      const now = doc([...this.sent, ...this.got('update').map(m => m.payload), ...this.got('step2').map(m => m.payload)])
      const vector = stateVector(now)
      assert.ok(Object.entries(stateVector(wanted)).every(([client, clock]) => (vector[client] ?? 0) >= clock))
      assert.ok(Object.keys(deletes(wanted)).every(client => client in deletes(now)))
      return true
    }, 5_000, () => `the recorded content at ${this.address}`)
  }
}

class Connection {
  places = new Map()
  constructor (raw) { this.raw = raw; raw.frames = () => raw.received.map(({ frame }) => hp.decode(frame)) }
  place (address) {
    if (!this.places.has(address)) this.places.set(address, new Place(this.raw, address))
    return this.places.get(address)
  }
}

/** Gives what `meanwhile` gives, which is asked before the connections end. */
async function replay (server, recording, meanwhile = () => {}) {
  const connections = new Map()
  const content = new Map()
  // What was sent after a refusal waits for another token.
  const waiting = new Map()
  const take = (address, payload) => content.set(address.split('\0')[0], [...(content.get(address.split('\0')[0]) ?? []), payload])
  for (const step of recording.steps) {
    if (step.dir === '-') continue
    const where = `${recording.name} step ${step.n} (${step.conn} ${step.dir} ${step.meaning ?? step.line ?? step.type})`
    const connection = connections.get(step.conn)
    try {
      if (step.type === 'http') {
        if (step.dir === 'c2s') connections.set(step.conn, new Connection(await RawClient.connect(`${server.wsUrl}/`)))
      } else if (step.dir === 'c2s') {
        if (step.type === 'tcp-close') { connection.raw.drop(); continue }
        if (step.type === 'close') { if (!connection.raw.closed && step.code !== 4401) await connection.raw.close(); continue }
        const bytes = frames.fromHex(step.hex)
        const message = hp.decode(bytes)
        if (message.kind === 'pong') { await connection.raw.send(bytes); continue }
        const place = connection.place(message.address)
        const key = `${step.conn} ${message.address}`
        if (message.kind === 'token') {
          if (tokenFor(message.token) === 'bad') waiting.set(key, [])
          else {
            waiting.get(key)?.forEach(payload => take(message.address, payload))
            waiting.delete(key)
          }
          await connection.raw.send(hp.token(message.address, tokenFor(message.token), message.version))
          continue
        }
        if (message.kind === 'update' || message.kind === 'step2') {
          place.sent.push(message.payload)
          if (waiting.has(key)) waiting.get(key).push(message.payload)
          else if (step.conn !== 'R') take(message.address, message.payload)
        }
        if (message.kind === 'awareness') message.entries.forEach(({ id }) => place.own.add(id))
        await connection.raw.send(bytes)
      } else if (step.type === 'binary') {
        await expectStep(connection, hp.decode(frames.fromHex(step.hex)))
      }
    } catch (error) {
      throw new Error(`${where}: ${error.message}`, { cause: error })
    }
  }
  const found = await meanwhile(connections)
  for (const [label, { raw, places }] of connections) {
    for (const [address, place] of places) {
      const told = place.got('status').length
      assert.ok(told <= place.sent.length, `${recording.name} ${label} ${address}: ${told} statuses for ${place.sent.length} messages`)
      const own = raw.frames().filter(m => m.address === address && m.kind === 'awareness').flatMap(m => m.entries).filter(e => place.own.has(e.id) && e.state !== null)
      if (recording.name !== 'hp-06-offline-reconnect') assert.deepEqual(own, [], `${recording.name} ${label}: its own presence came back`)
    }
    assert.ok(raw.received.every(({ binary }) => binary))
    raw.drop()
  }
  for (const [doc, payloads] of content) {
    const reader = openClient(server, doc, { params: { token: everything('read') } })
    try {
      await reader.waitSynced()
      const all = passiveDoc()
      payloads.forEach(payload => Y.applyUpdate(all, payload))
      await waitFor(() => JSON.stringify(stateVector(reader.doc)) === JSON.stringify(stateVector(all)), 5_000, () => `${recording.name}: what was sent to ${doc}`)
    } finally {
      reader.destroy()
    }
  }
  return found
}

async function expectStep (connection, message) {
  const place = connection.place(message.address)
  switch (message.kind) {
    case 'authenticated': return await place.expect('authenticated', m => m.scope === message.scope)
    case 'refused': return await place.expect('refused')
    case 'step1': return await place.expect('step1')
    case 'step2': await place.expect('step2'); return await place.expectContent(message.payload)
    case 'update': return await place.expectContent(message.payload)
    case 'status': return await place.expect('status', m => m.applied === message.applied)
    case 'awareness':
      for (const entry of message.entries) {
        if (place.own.has(entry.id)) continue
        await waitFor(() => place.got('awareness').some(m => m.entries.some(e => e.id === entry.id && e.clock === entry.clock && JSON.stringify(e.state) === JSON.stringify(entry.state))), 5_000, () => `presence ${JSON.stringify(entry)}`)
      }
      return
    case 'close':
      // An operator's word, which this server does not have yet.
      if (message.reason === 'Reset Connection') return
      return await place.expect('close')
    case 'stateless': {
      // The hooks of the recorded server answered and spread; here the others get the words themselves.
      if (!message.text.startsWith('all:') || place.own.has(1001)) return
      return await place.expect('stateless', m => m.text === message.text.slice('all:'.length))
    }
    // The recorded server was made to ask; this one asks when a token ends.
    case 'token-request': return
    default: throw new Error(`unexpected ${message.kind} in a recording`)
  }
}

describe('recordings of Hocuspocus clients', () => {
  for (const name of recordings('hp').filter(name => !name.startsWith('hp-10'))) {
    test(name, async t => {
      // The recorded server wrote nobody's name into presence.
      const server = await start({ t, store: 'memory', args: ['--stamp-presence=false'], env: { QUIRE_AUTH_SECRET: SECRET } })
      await replay(server, load(name))
      assert.deepEqual(server.panics(), [])
    })
  }

  test('hp-07: a token that has not come is asked of nobody twice, and a lone pong ends nothing', async t => {
    const server = await start({ t, store: 'memory', env: { QUIRE_AUTH_SECRET: SECRET } })
    const raw = await RawClient.connect(`${server.wsUrl}/`, { t })
    const connection = new Connection(raw)
    await raw.send(hp.step1('hp-x'))
    await connection.place('hp-x').expect('refused')
    await raw.send(hp.step1('hp-x'))
    await raw.send('0a')
    await raw.send(hp.token('hp-x', everything('write')))
    await connection.place('hp-x').expect('step2')
    assert.equal(connection.place('hp-x').got('refused').length, 1)
    assert.equal(raw.closed, null)
  })

  test('hp-10-client-reactions', async t => {
    const server = await start({ t, store: 'memory', env: { QUIRE_AUTH_SECRET: SECRET } })
    const recording = load('hp-10-client-reactions')
    // The recorded server said one thing after another to see what the client does: what it was made to say is not expected here.
    const made = new Set(recording.steps.filter((step, i, all) => step.dir === 's2c' && step.type === 'binary' && all[i - 1].type === 'action').map(({ n }) => n))
    const raw = await replay(server, { ...recording, steps: recording.steps.filter(({ n }) => !made.has(n)) }, connections => {
      const { raw } = connections.get('A')
      return waitFor(() => raw.frames().filter(m => m.kind === 'status' && m.applied).length === 4 && raw, 5_000, 'a status for its answer and each of its three edits')
    })
    const kinds = raw.frames().map(({ kind }) => kind)
    for (const [kind, times] of [['authenticated', 1], ['step1', 1], ['step2', 1], ['status', 4], ['refused', 0], ['close', 0], ['token-request', 0]]) {
      assert.equal(kinds.filter(found => found === kind).length, times, `${kind} in ${kinds}`)
    }
    assert.equal(raw.frames().filter(m => m.kind === 'status' && !m.applied).length, 0)
    const reader = openClient(server, 'doc', { t, params: { token: everything('read') } })
    await reader.waitSynced()
    assert.equal(reader.text('t').toString(), 'zyx')
    assert.deepEqual(server.panics(), [])
  })
})

test('ysweet-01: a version comes back when what it counts is stored', async t => {
  const DELAY = 300
  const server = await start({ t, store: 'memory', faults: [`store-delay=${DELAY}ms`] })
  const connections = new Map()
  const versions = raw => raw.received.map(({ frame }) => frame).filter(frame => frame[0] === 102).map(frames.hex)
  for (const step of load('ysweet-01-connect').steps) {
    if (step.type === 'http' && step.dir === 'c2s') connections.set(step.conn, await RawClient.connect(`${server.wsUrl}/d/doc%2F%C3%BC%201/ws/doc/%C3%BC%201?token=tok+1`, { t }))
    const raw = connections.get(step.conn)
    if (step.type === 'tcp-close') raw.drop()
    if (step.type !== 'binary') continue
    if (step.dir === 'c2s') await raw.send(step.hex)
    else if (step.hex.startsWith('66')) raw.wanted = [...(raw.wanted ?? []), step.hex]
    else await raw.expect(m => m.kind === { '0000': 'step1', '0001': 'step2' }[step.hex.slice(0, 4)], 5_000, step.meaning)
    if (step.n === 12) {
      // Its edit is not stored yet.
      assert.ok(!versions(raw).includes('660101'))
      await waitFor(() => versions(raw).includes('660101'), 5_000, 'the version back')
    }
    if (step.n === 25) assert.deepEqual(versions(raw), [], 'not before it has answered what it was asked')
  }
  for (const [label, raw] of connections) {
    if (!raw.closed) await waitFor(() => versions(raw).at(-1) === raw.wanted.at(-1), 5_000, () => `the versions of ${label}: ${versions(raw)}`)
    assert.deepEqual([...new Set(versions(raw))], [...new Set(raw.wanted)], label)
  }
})
