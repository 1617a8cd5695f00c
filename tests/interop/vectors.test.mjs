// The recorded vectors through the server: frames of real y-websocket clients, yjs' encodings, updates that arrive too early, presence.

import assert from 'node:assert/strict'
import { before, after, describe, test } from 'node:test'
import { Awareness, applyAwarenessUpdate } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { RawClient, compare, deletes, documentOf, documentUrl, never, passiveDoc, stateVector, waitFor } from './lib/client.mjs'
import { pending, updateIds } from './lib/compare.mjs'
import * as frames from './lib/frames.mjs'
import { start } from './lib/server.mjs'
import { load, recordings, replay } from './lib/vectors.mjs'

const bytes = frames.fromHex
let server
before(async () => { server = await start() })
after(async () => {
  const panics = server.panics()
  await server.dispose()
  assert.deepEqual(panics, [])
})

describe('recordings of y-websocket', () => {
  // 07 holds what no client sends, 08 a client's reactions to a made-up server; both stand below or in rules.test.mjs.
  for (const name of recordings('yws').filter(name => !/^yws-0[78]/.test(name))) {
    for (const prefix of ['/ws', '']) {
      test(`${name} at ${prefix}/{doc}`, async () => {
        const connections = await replay(server, load(name), `${name}${prefix}`, { prefix })
        for (const [label, connection] of connections) {
          const first = [...connection.raw.messages].find(m => m.kind === 'step1')
          assert.ok(first, `${label}: the server asks what the client has`)
        }
      })
    }
  }

  test('yws-09: a reconnect with an unchanged clock is repaired at once, and no ghost stays', async t => {
    const url = documentUrl(server, 'ghost')
    const b = await RawClient.connect(url, { t })
    const a = await RawClient.connect(url, { t })
    await a.awareness({ id: 1001, clock: 1, state: { user: 'Ann' } })
    await b.expect(m => m.kind === 'awareness' && m.entries.some(e => e.id === 1001 && e.state !== null), 5_000, 'Ann')
    a.drop()
    await b.expect(m => m.kind === 'awareness' && m.entries.some(e => e.id === 1001 && e.state === null), 5_000, 'Ann gone')
    const again = await RawClient.connect(url, { t })
    await again.awareness({ id: 1001, clock: 1, state: { user: 'Ann' } })
    await again.expect(m => m.kind === 'awareness' && m.entries.some(e => e.id === 1001 && e.clock === 1 && e.state === null), 2_000, 'the repair')
    await again.awareness({ id: 1001, clock: 2, state: { user: 'Ann' } })
    await b.expect(m => m.kind === 'awareness' && m.entries.some(e => e.id === 1001 && e.clock === 2 && e.state !== null), 5_000, 'Ann again')
    again.drop()
    await waitFor(() => b.presence().get(1001).state === null, 5_000, 'no ghost of Ann')
    assert.equal(b.presence().get(1001).clock >= 2, true)
  })

  describe('yws-07: what no client sends', () => {
    const cases = { 'a truncated update': '0002ffff', 'an unknown sync message': '000302', 'an empty frame': '', 'a truncated state vector': '000001' }
    for (const [label, hex] of Object.entries(cases)) {
      test(`${label} ends that connection with 1002 and harms nobody else`, async t => {
        const url = documentUrl(server, 'oddities')
        const a = await RawClient.connect(url, { t })
        await a.awareness({ id: 1001, clock: 1, state: { u: 1 } })
        const raw = await RawClient.connect(url, { t })
        await raw.expect('step1')
        await raw.send(hex)
        assert.equal((await raw.whenClosed()).code, 1002)
        await a.fence()
        assert.equal(a.closed, null)
      })
    }

    test('a text frame ends that connection with 1003', async t => {
      const raw = await RawClient.connect(documentUrl(server, 'oddities'), { t })
      raw.sendText('hi')
      assert.equal((await raw.whenClosed()).code, 1003)
    })

    test('an unknown message type is skipped, a query for presence is answered, a ping gets its pong', async t => {
      const url = documentUrl(server, 'oddities-2')
      const a = await RawClient.connect(url, { t })
      await a.awareness({ id: 1001, clock: 1, state: { u: 1 } })
      const raw = await RawClient.connect(url, { t })
      await raw.expect(m => m.kind === 'awareness' && m.entries.some(e => e.id === 1001 && e.state.u === 1), 5_000, 'presence on joining')
      await raw.send('09')
      await raw.send('6301020304')
      raw.mark()
      await raw.send('03')
      await raw.next(m => m.kind === 'awareness' && m.entries.some(e => e.id === 1001 && e.state.u === 1), 5_000, 'the answer to a query')
      raw.ws.ping('pp')
      await waitFor(() => raw.pongs.includes('pp'), 5_000, 'a pong')
      await raw.fence()
      assert.equal(raw.closed, null)
    })
  })
})

/** Pushes updates by one connection, reads them by another as a newcomer, and by a third that was there before. */
async function through (t, name, updates) {
  const url = documentUrl(server, name)
  const witness = await RawClient.connect(url, { t })
  const writer = await RawClient.connect(url, { t })
  for (const update of updates) await writer.update(update)
  await writer.fence()
  const reader = await RawClient.connect(url, { t })
  const copy = documentOf([await reader.read()])
  const told = passiveDoc()
  await waitFor(() => {
    Y.applyUpdate(told, Uint8Array.of(0, 0))
    for (const { kind, payload } of witness.messages) if (kind === 'update' || kind === 'step2') Y.applyUpdate(told, payload)
    compare(told, copy)
    return true
  }, 5_000, `what a connected reader of ${name} was told`)
  return copy
}

describe('encodings of yjs', () => {
  for (const vector of load('yjs-encodings').cases) {
    test(vector.name, async t => {
      const ways = { state: [bytes(vector.state_v1)] }
      if (vector.updates_v1) { // some large ones have their state only
        const updates = vector.updates_v1.map(bytes)
        Object.assign(ways, { 'in order': updates, reversed: updates.toReversed(), merged: [bytes(vector.merged_v1)], twice: [...updates, ...updates] })
      }
      for (const [way, list] of Object.entries(ways)) {
        const copy = await through(t, `encodings ${vector.name} ${way}`, list)
        compare(copy, documentOf(list), `${vector.name} ${way}`)
        assert.deepEqual(stateVector(copy), vector.state_vector.clocks, `${way}: state vector`)
        assert.deepEqual(deletes(copy), vector.delete_set, `${way}: delete set`)
        for (const [root, kind] of Object.entries(vector.types)) assert.deepEqual(plain(copy, root, kind), vector.expected[root], `${way}: root ${root}`)
      }
    })
  }
})

/** For each client, up to which clock these updates hold everything. */
function contiguous (updates) {
  const known = Object.entries(updateIds(Y.mergeUpdates(updates)))
  return Object.fromEntries(known.filter(([, [first]]) => first[0] === 0).map(([client, [first]]) => [client, first[1]]))
}

/** Content in the form of yjs-encodings.json. */
function plain (doc, root, kind) {
  const value = v => {
    if (v === undefined) return { $undefined: true }
    if (typeof v === 'bigint') return { $bigint: String(v) }
    if (v instanceof Uint8Array) return { $bytes: frames.hex(v) }
    if (v instanceof Y.Doc) return { $doc: v.guid }
    if (v instanceof Y.Text || v instanceof Y.XmlFragment) return v.toString()
    if (v instanceof Y.Map) return Object.fromEntries([...v].map(([k, x]) => [k, value(x)]))
    if (v instanceof Y.Array) return v.toArray().map(value)
    if (Array.isArray(v)) return v.map(value)
    if (v !== null && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, value(x)]))
    return v
  }
  switch (kind) {
    case 'text': { const text = doc.getText(root); return { string: text.toString(), delta: text.toDelta() } }
    case 'map': return value(doc.getMap(root))
    case 'array': return value(doc.getArray(root))
    case 'xml': return doc.getXmlFragment(root).toString()
    default: throw new Error(`unknown kind ${kind}`)
  }
}

describe('updates that arrive too early, twice or not at all', () => {
  const vector = load('yjs-pending')
  const updates = vector.updates_v1.map(bytes)
  for (const { order, steps } of vector.scenarios) {
    test(`in the order ${order.join(' ')}`, async t => {
      const url = documentUrl(server, `pending ${order.join(' ')}`)
      const writer = await RawClient.connect(url, { t })
      const fed = []
      for (const step of steps) {
        fed.push(updates[step.apply])
        await writer.update(updates[step.apply])
        await writer.fence()
        const reader = await RawClient.connect(url, { t })
        const asks = await reader.expect('step1')
        assert.deepEqual(stateVector(asks.stateVector), contiguous(fed), `after ${step.label}: the server claims what it has without a gap`)
        const copy = documentOf([await reader.read()])
        compare(copy, documentOf(fed), `after ${step.label}`)
        assert.equal(copy.getText('t').toString(), step.text_after)
        assert.deepEqual(stateVector(copy), step.state_vector_after)
        assert.equal(Object.keys(pending(copy).structs).length > 0, step.pending_missing !== null)
        assert.equal(Object.keys(pending(copy).deletes).length > 0, step.pending_delete_set)
        reader.drop()
      }
    })
  }

  test('what waits for something missing is kept across a hard end and filled in later', async t => {
    const url = documentUrl(server, 'early')
    const writer = await RawClient.connect(url, { t })
    for (const i of [4, 2, 0]) await writer.update(updates[i])
    await writer.expect(m => m.kind === 'update' && Y.decodeUpdate(m.payload).structs.some(s => s.id.client === 1 && s.id.clock === 0), 5_000, 'the confirmation of the last')
    await server.restart('SIGKILL')
    const reader = await RawClient.connect(url, { t })
    compare(documentOf([await reader.read()]), documentOf([4, 2, 0].map(i => updates[i])), 'after the restart')
    const before = reader.messages.length
    await reader.update(updates[1])
    // Until it is stored, its sender is not sent it.
    await waitFor(() => reader.messages.slice(before).some(({ kind }) => kind === 'update'), 5_000, 'the confirmation', 1)
    assert.equal(documentOf([await reader.read()]).getText('t').toString(), 'abcE')
  })

  test('who left a gap is asked again, but not without end', async t => {
    const writer = await RawClient.connect(documentUrl(server, 'gap'), { t })
    await writer.expect('step1')
    await writer.update(updates[0])
    await writer.fence()
    writer.mark()
    await writer.update(updates[2])
    const asked = await writer.next('step1', 3_000, 'the question for what is missing')
    assert.deepEqual(stateVector(asked.stateVector), { 1: 1 })
    const from = writer.received.length
    await never(() => writer.received.length - from > 5, 3_000, 'a flood of questions')
  })
})

test('presence: a receiver behind the server ends where the vector says', async t => {
  const vector = load('awareness')
  const url = documentUrl(server, 'awareness')
  const doc = new Y.Doc()
  doc.clientID = vector.receiver_client_id
  const awareness = new Awareness(doc)
  t.after(() => awareness.destroy())
  const receiver = await RawClient.connect(url, { t })
  // Each client sends by itself, as real ones do; the last step is about the receiver and is not for a server to pass on.
  const senders = new Map()
  let taken = 0
  for (const step of vector.steps.filter(step => !step.decoded.some(({ client }) => client === vector.receiver_client_id))) {
    for (const { client, clock, state } of step.decoded) {
      if (!senders.has(client)) senders.set(client, await RawClient.connect(url, { t }))
      await senders.get(client).awareness({ id: client, clock, state })
      await senders.get(client).fence()
    }
    await receiver.fence()
    for (; taken < receiver.messages.length; taken++) {
      const message = receiver.messages[taken]
      if (message.kind === 'awareness') applyAwarenessUpdate(awareness, message.frame.subarray(2 + (message.frame[1] >= 0x80 ? 1 : 0)), 'test')
    }
    const states = Object.fromEntries([...awareness.getStates()].map(([id, state]) => [id, state]))
    assert.deepEqual(states, step.receiver_after.states, step.label)
  }
})
