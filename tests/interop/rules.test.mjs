// What unmodified y-websocket clients need of a server, rule by rule.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, compare, documentUrl, never, openClient, serverCopy, waitFor, waitSettled } from './lib/client.mjs'
import { cut } from './lib/cutter.mjs'
import { start } from './lib/server.mjs'

let server
before(async () => { server = await start() })
after(async () => {
  const panics = server.panics()
  await server.dispose()
  assert.deepEqual(panics, [])
})

const seesUser = (client, id, name) => client.awareness.getStates().get(id)?.user === name
const sees = (client, id, name, deadline) => waitFor(() => seesUser(client, id, name), deadline, () => `client ${client.clientId} to see ${name} (${id}); it sees ${JSON.stringify([...client.awareness.getStates()])}`)
const missesWithin = (client, id, deadline) => waitFor(() => !client.awareness.getStates().has(id), deadline, `client ${client.clientId} to see ${id} gone`)

/** A client with a name. */
function named (t, on, doc, name, options = {}) {
  const client = openClient(on, doc, { t, ...options })
  client.awareness.setLocalStateField('user', name)
  return client
}

// y-websocket reconnects when no message came for 30 s, and looks every 3 s; a WebSocket ping does not count.
const WATCHDOG = 36_000

test('rule 1: whoever is alone and idle stays on one connection, because data comes often enough', { timeout: 90_000 }, async t => {
  const clients = [
    openClient(server, 'idle 1', { t, presence: false }),
    named(t, server, 'idle 2', 'Ann'),
    openClient(server, 'idle 3', { t, presence: false, version: 2 }),
    named(t, server, 'idle 4', 'Bob', { version: 2, prefix: '' })
  ]
  const raw = await RawClient.connect(documentUrl(server, 'idle 5'), { t })
  const from = performance.now()
  await Promise.all(clients.map(client => client.waitSynced()))
  await never(() => clients.some(client => client.connections !== 1 || !client.connected), WATCHDOG, 'a reconnect of an idle client')
  const times = [from, ...raw.received.filter(({ at }) => at > from).map(({ at }) => at), performance.now()]
  const gaps = times.slice(1).map((at, i) => at - times[i])
  assert.ok(Math.max(...gaps) < 30_000, `the longest silence was ${Math.max(...gaps)} ms`)
  assert.equal(raw.closed, null)
  // What keeps a connection alive means nothing: no state of anybody, no edit.
  assert.deepEqual(raw.messages.filter(m => m.kind === 'awareness').flatMap(m => m.entries), [])
})

test('rule 1: the interval can be set', async t => {
  const quick = await start({ t, args: ['--keepalive', '1s'] })
  const raw = await RawClient.connect(documentUrl(quick, 'doc'), { t })
  await raw.fence()
  const seen = raw.received.length
  await waitFor(() => raw.received.length >= seen + 3, 6_000, 'three signs of life')
})

test('rule 4: nothing that passes tells a client never to come back', async t => {
  const client = openClient(server, 'rule 4', { t })
  await client.waitSynced()
  for (const hex of ['0002ffff', '']) {
    const opened = client.connections
    client.provider.ws.send(Buffer.from(hex, 'hex'))
    await waitFor(() => client.connections > opened && client.synced, 10_000, 'the client to come back')
  }
  assert.equal(client.ended, null)
  assert.deepEqual(client.closes.map(close => close.code), [1002, 1002])
})

test('rule 5: a name that cannot be is refused before the upgrade', async t => {
  for (const name of ['%zz', '%00', 'x'.repeat(256)]) {
    await assert.rejects(RawClient.connect(documentUrl(server, name, { raw: true }), { t }), error => {
      assert.equal(error.status, 400, `${name}: ${error.message}`)
      return true
    })
  }
})

for (const version of [3, 2]) {
  test(`rule 6: presence is back at once after a cut connection (client ${version}.x)`, async t => {
    const cutter = await cut(server, { t })
    const a = named(t, cutter, `cut ${version}`, 'Ann', { version })
    const b = named(t, server, `cut ${version}`, 'Bob')
    await sees(b, a.clientId, 'Ann', 5_000)
    await sees(a, b.clientId, 'Bob', 5_000)
    for (let round = 0; round < 3; round++) {
      const opened = a.connections
      cutter.reset()
      await waitFor(() => a.connections > opened && a.synced, 10_000, 'the reconnect')
      await sees(b, a.clientId, 'Ann', 2_000)
    }
  })
}

test('rule 6: presence is back at once after disconnect and connect', async t => {
  const a = named(t, server, 'leave', 'Ann')
  const b = named(t, server, 'leave', 'Bob')
  await sees(b, a.clientId, 'Ann', 5_000)
  for (let round = 0; round < 3; round++) {
    a.disconnect()
    await missesWithin(b, a.clientId, 5_000)
    a.connect()
    await sees(b, a.clientId, 'Ann', 2_000)
  }
})

test('rule 6: presence is back after the server was killed and started again', async t => {
  const own = await start({ t })
  const clients = ['Ann', 'Bob', 'Cleo'].map((name, i) => named(t, own, 'restart', name, { version: i === 2 ? 2 : 3 }))
  const everybody = async deadline => {
    for (const client of clients) for (const [i, other] of clients.entries()) if (other !== client) await sees(client, other.clientId, ['Ann', 'Bob', 'Cleo'][i], deadline)
  }
  await everybody(5_000)
  await own.restart('SIGKILL')
  await waitFor(() => clients.every(client => client.synced && client.connections === 2), 15_000, 'everybody back')
  await everybody(3_000)
})

test('rule 6: who comes back sees the others at once, too', async t => {
  // Its own list of the others holds tombstones with their clocks, so they must be asked to speak again.
  const cutter = await cut(server, { t })
  const a = named(t, cutter, 'blind', 'Ann')
  const b = named(t, server, 'blind', 'Bob')
  await sees(a, b.clientId, 'Bob', 5_000)
  cutter.reset()
  await waitFor(() => a.connections === 2 && a.synced, 10_000, 'the reconnect')
  await sees(a, b.clientId, 'Bob', 2_000)
})

test('rule 7: a state that was null and came back leaves with its connection', async t => {
  const cutter = await cut(server, { t })
  const a = named(t, cutter, 'null and back', 'Ann')
  const b = named(t, server, 'null and back', 'Bob')
  await sees(b, a.clientId, 'Ann', 5_000)
  a.awareness.setLocalState(null)
  await missesWithin(b, a.clientId, 5_000)
  a.awareness.setLocalState({ user: 'Ann again' })
  await sees(b, a.clientId, 'Ann again', 5_000)
  cutter.down()
  await missesWithin(b, a.clientId, 5_000)
  const c = openClient(server, 'null and back', { t })
  await sees(c, b.clientId, 'Bob', 5_000)
  assert.equal(c.awareness.getStates().has(a.clientId), false, 'a newcomer sees no ghost')
})

test('rule 8: passing on what one heard of others gives no hold over it', async t => {
  const cutter = await cut(server, { t })
  const a = named(t, server, 'echo', 'Ann')
  const b = named(t, cutter, 'echo', 'Bob')
  const c = named(t, server, 'echo', 'Cleo')
  for (const [client, others] of [[a, [b, c]], [b, [a, c]], [c, [a, b]]]) for (const other of others) await waitFor(() => client.awareness.getStates().has(other.clientId), 5_000, 'everybody')
  // B has sent back all it heard; its end takes B alone along.
  cutter.down()
  await missesWithin(c, b.clientId, 5_000)
  await missesWithin(a, b.clientId, 5_000)
  await never(() => !seesUser(c, a.clientId, 'Ann') || !seesUser(a, c.clientId, 'Cleo'), 1_000, 'somebody else gone with B')
})

test('rule 8: the same words from a second connection take nothing away from the first', async t => {
  const url = documentUrl(server, 'second')
  const [a, b, c] = await Promise.all([1, 2, 3].map(() => RawClient.connect(url, { t })))
  await a.awareness({ id: 7, clock: 3, state: { user: 'Ann' } })
  await c.expect(m => m.kind === 'awareness' && m.entries.some(e => e.id === 7 && e.state !== null), 5_000, 'Ann')
  await b.awareness({ id: 7, clock: 3, state: { user: 'Ann' } })
  await b.fence()
  b.drop()
  await never(() => c.presence().get(7).state === null, 1_000, 'Ann gone with the connection that repeated her')
  a.drop()
  await waitFor(() => c.presence().get(7).state === null, 5_000, 'Ann gone with her own connection')
})

test('rule 9: an offered subprotocol is agreed to', async t => {
  for (const protocols of [['yjs'], ['token-abc', 'other']]) {
    const raw = await RawClient.connect(documentUrl(server, 'protocols'), { t, protocols })
    assert.ok(protocols.includes(raw.ws.protocol), `agreed to ${JSON.stringify(raw.ws.protocol)}`)
    const client = openClient(server, 'protocols', { t, protocols })
    await client.waitSynced()
  }
  const plain = await RawClient.connect(documentUrl(server, 'protocols'), { t })
  assert.equal(plain.ws.protocol, '', 'nothing offered, nothing agreed to')
})

test('rule 10: a herd that returns at once after a restart is served', async t => {
  const own = await start({ t })
  const herd = Array.from({ length: 80 }, (_, i) => openClient(own, `herd ${i % 4}`, { t, version: i % 8 < 6 ? 3 : 2 }))
  await waitFor(() => herd.every(client => client.synced), 20_000, 'the herd')
  herd.forEach((client, i) => client.text().insert(0, `${i} `))
  await own.restart('SIGKILL')
  await waitFor(() => herd.every(client => client.synced && client.connections >= 2), 20_000, () => `the herd back; ${herd.filter(c => !c.synced).length} are not`)
  for (let room = 0; room < 4; room++) {
    const members = herd.filter((_, i) => i % 4 === room)
    await waitSettled(members, 20_000)
    assert.equal(members[0].text().toString().trim().split(' ').length, members.length)
  }
})

test('rule 11: what comes too early is kept, and is there for everybody once the missing part comes', async t => {
  const own = await start({ t })
  const author = new Y.Doc()
  author.clientID = 5
  const updates = []
  author.on('update', update => updates.push(update))
  for (const letter of 'abc') author.getText('text').insert(author.getText('text').length, letter)
  const raw = await RawClient.connect(documentUrl(own, 'early'), { t })
  await raw.update(updates[2])
  await raw.expect(m => m.kind === 'update', 5_000, 'the confirmation of an early update')
  await own.restart('SIGKILL')
  const client = openClient(own, 'early', { t })
  await client.waitSynced()
  assert.equal(client.text().toString(), '')
  const again = await RawClient.connect(documentUrl(own, 'early'), { t })
  await again.update(updates[1])
  await again.update(updates[0])
  await waitFor(() => client.text().toString() === 'abc', 5_000, 'all three letters')
  compare(await serverCopy(own, 'early'), author, 'the server copy')
})

test('rule 12: lengths are counted in UTF-16 units, and a split pair becomes what yjs makes of it', async t => {
  const a = openClient(server, 'units', { t })
  const b = openClient(server, 'units', { t })
  await Promise.all([a.waitSynced(), b.waitSynced()])
  const text = a.text()
  text.insert(0, '\u{1F600}\u{1F468}\u200D\u{1F469}\u200D\u{1F467}e\u0301\u{1D11E}\u6F22\u{1F1E9}\u{1F1EA}')
  await b.waitEqual(a)
  text.insert(1, '-') // inside the first pair
  text.delete(4, 1) // half of the second
  text.format(2, 3, { bold: true })
  await b.waitEqual(a)
  b.text().insert(2, 'b')
  await a.waitEqual(b)
  assert.equal(text.toString().slice(0, 4), '\uFFFD-b\uFFFD')
  const copy = await serverCopy(server, 'units')
  compare(copy, a.doc, 'the server copy')
})
