// Clients of three dialects and seven versions on one document: they see each other, drop, come back, and what any of them showed
// as saved survives a hard end. Nobody is told "saved" while the store is blocked.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { compare, never, openClient, serverCopy, waitFor, waitSettled } from './lib/client.mjs'
import { openHocuspocus, openSocket } from './lib/hocuspocus.mjs'
import { openYSweet } from './lib/ysweet.mjs'
import { start } from './lib/server.mjs'
import { openYWebsocket4 } from './lib/ywebsocket4.mjs'

/** One of each, on one document. */
function everyKind (server, name, t) {
  return {
    'y-websocket 3.1.0': openClient(server, name, { t }),
    'y-websocket 2.1.0': openClient(server, name, { t, version: 2, prefix: '' }),
    'Hocuspocus 4.8.0': openHocuspocus(server, name, { t, version: 4 }),
    'Hocuspocus 3.4.4': openHocuspocus(server, name, { t, version: 3, path: '/hocuspocus' }),
    'Hocuspocus 2.15.3': openHocuspocus(server, name, { t, version: 2 }),
    'Hocuspocus 2.15.3 with a token': openHocuspocus(server, name, { t, version: 2, token: 'anything' }),
    'y-sweet 0.9.1': openYSweet(server, name, { t })
  }
}

const isSaved = client => client.saved ?? client.confirmedClock >= Y.getState(client.doc.store, client.clientId)

async function everybodyIsSeen (kinds, deadline = 5_000) {
  for (const [kind, client] of Object.entries(kinds)) {
    for (const [other, { clientId }] of Object.entries(kinds)) {
      if (other === kind) continue
      await waitFor(() => client.awareness.getStates().get(clientId)?.user === other, deadline,
        () => `${kind} to see ${other}; it sees ${JSON.stringify([...client.awareness.getStates()])}`)
    }
  }
}

test('clients of three dialects edit one document, see each other, drop, come back, and lose nothing confirmed', { timeout: 120_000 }, async t => {
  const server = await start({ t })
  const kinds = everyKind(server, 'team/minutes \u00fc', t)
  const clients = Object.values(kinds)
  await Promise.all(clients.map(client => client.waitSynced()))
  for (const [kind, client] of Object.entries(kinds)) client.awareness.setLocalStateField('user', kind)
  await everybodyIsSeen(kinds)

  clients.forEach((client, i) => client.text().insert(0, `${i} \u{1F600} `))
  await Promise.all(clients.map(client => client.waitConfirmed()))
  await waitSettled(clients)

  // Each drops, edits alone, and comes back.
  for (const client of clients) {
    client.drop()
    client.text('offline').insert(0, `offline ${client.clientId} `)
  }
  await waitFor(() => clients.every(client => client.connections > 1 && client.synced), 15_000, () => 'everybody back')
  await Promise.all(clients.map(client => client.waitConfirmed()))
  await waitSettled(clients)
  await everybodyIsSeen(kinds)
  for (const { clientId } of clients) assert.equal(clients[0].text('offline').toString().split(`offline ${clientId} `).length, 2)

  const before = new Y.Doc()
  Y.applyUpdate(before, Y.encodeStateAsUpdate(clients[0].doc))
  for (const client of clients) client.destroy()
  await server.restart('SIGKILL')
  compare(await serverCopy(server, 'team/minutes \u00fc'), before, 'what was confirmed')
  assert.deepEqual(server.panics(), [])
})

test('killed in the middle of typing: whatever a client of any dialect showed as saved is there', { timeout: 120_000 }, async t => {
  const server = await start({ t })
  for (let round = 0; round < 2; round++) {
    const name = `typing ${round}`
    const kinds = everyKind(server, name, t)
    const clients = Object.entries(kinds)
    await Promise.all(clients.map(([, client]) => client.waitSynced()))
    await Promise.all(clients.map(([, client]) => client.waitConfirmed()))
    // The highest clock at which each client has shown that all is saved.
    const saved = new Map(clients.map(([kind]) => [kind, 0]))
    const look = () => clients.forEach(([kind, client]) => {
      if (isSaved(client)) saved.set(kind, Y.getState(client.doc.store, client.clientId))
    })
    let typed = 0
    const typing = setInterval(() => {
      look()
      // One at a time, so that each has moments in which all of its own is saved.
      const [kind, client] = clients[typed++ % clients.length]
      client.text(kind).insert(0, 'x')
    }, 4)
    await waitFor(() => clients.every(([kind]) => saved.get(kind) >= 10), 20_000, () => `some saved of each: ${JSON.stringify([...saved])}`)
      .finally(() => clearInterval(typing))
    clients.forEach(([kind, client]) => client.text(kind).insert(0, 'perhaps too late '))
    server.signal('SIGKILL')
    await server.exited()
    look()
    const ids = new Map(clients.map(([kind, client]) => [kind, client.clientId]))
    for (const [, client] of clients) client.destroy()
    await server.restart()
    const copy = await serverCopy(server, name)
    for (const [kind, clock] of saved) assert.ok(Y.getState(copy.store, ids.get(kind)) >= clock, `round ${round}, ${kind}: ${clock} were shown as saved`)
  }
})

test('with the store blocked no client of any dialect shows an edit as saved, and each does when it heals', { timeout: 120_000 }, async t => {
  const DELAY = 4_000
  const server = await start({ t, faults: [`store-delay=${DELAY}ms`] })
  const kinds = everyKind(server, 'blocked', t)
  const clients = Object.entries(kinds)
  await Promise.all(clients.map(([, client]) => client.waitSynced()))
  await waitFor(() => clients.every(([, client]) => client.saved ?? true), 10_000, 'nothing unsaved to begin with')
  const opened = clients.map(([, client]) => client.connections)
  const sent = performance.now()
  clients.forEach(([kind, client]) => client.text(kind).insert(0, 'x'))
  // Everybody has it at once.
  await waitFor(() => clients.every(([, client]) => clients.every(([kind]) => client.text(kind).length === 1)), DELAY / 2, 'the edits at all clients')
  await never(() => clients.find(([, client]) => isSaved(client))?.[0], DELAY - 200 - (performance.now() - sent), 'an edit shown as saved')
  for (const [kind, client] of clients) {
    await waitFor(() => isSaved(client), 4 * DELAY, () => `${kind} to show it as saved`)
    assert.ok(performance.now() - sent >= DELAY, kind)
  }
  assert.deepEqual(clients.map(([, client]) => client.connections), opened, 'nobody took the wait for the end of the connection')
})

for (const version of [4, 3, 2]) {
  test(`Hocuspocus ${version}: each change is counted off once, whatever the client does meanwhile`, async t => {
    const server = await start({ t, faults: ['store-delay=100ms'] })
    const client = openHocuspocus(server, 'counted', { t, version })
    const other = openHocuspocus(server, 'counted', { t, version: 4 })
    await client.waitSaved()
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 10; i++) client.text().insert(0, 'x')
      assert.equal(client.provider.unsyncedChanges, 10)
      other.text().insert(0, 'y')
      await client.waitSaved()
    }
    await client.waitEqual(other)
    assert.ok(Math.min(...client.counts) >= 0)
    // One status for each of the changes and one for the first answer, and no more.
    const statuses = client.socket.frames.filter(frame => frame[frame.length - 2] === 8 && frame.length === 'counted'.length + 3)
    assert.equal(statuses.length, 51)
    assert.equal(client.connections, 1)
  })
}

test('what does not change is not sent twice: a client that returns gets the difference', async t => {
  const server = await start({ t })
  const author = openHocuspocus(server, 'large', { t })
  await author.waitSynced()
  author.text().insert(0, 'z'.repeat(200_000))
  await author.waitSaved()
  author.socket.frames.length = 0
  author.drop()
  await waitFor(() => author.connections === 2 && author.saved, 10_000, 'the return')
  assert.ok(author.socket.frames.reduce((sum, frame) => sum + frame.length, 0) < 5_000)
})

test('a large first sync comes in parts, and a Hocuspocus client is not called synced before the last', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const author = openClient(server, 'huge', { t })
  await author.waitSynced()
  for (let i = 0; i < 9; i++) author.text().insert(author.text().length, String(i).repeat(1 << 20))
  await author.waitConfirmed()
  for (const version of [4, 3, 2]) {
    const doc = new Y.Doc()
    const reader = openHocuspocus(server, 'huge', { t, version, doc })
    reader.text().insert(0, '!')
    let lengthWhenSynced
    await waitFor(() => {
      if (reader.synced) lengthWhenSynced ??= reader.text().length
      return lengthWhenSynced !== undefined
    }, 20_000, 'the first sync', 1)
    assert.ok(lengthWhenSynced >= 9 << 20, `synced with ${lengthWhenSynced} characters`)
    await reader.waitSaved()
    reader.destroy()
  }
})

test('two documents on one socket: leaving, refusing or breaking one leaves the other at work', async t => {
  const server = await start({ t })
  for (const version of [4, 3]) {
    const socket = openSocket(server, { version, t })
    const [a, b] = ['a', 'b'].map(name => openHocuspocus(server, `${name} ${version}`, { socket, t }))
    const witness = openClient(server, `b ${version}`, { t })
    await Promise.all([a, b, witness].map(client => client.waitSynced()))
    let words = 0
    const works = async () => {
      b.text().insert(0, `word ${++words} `)
      await witness.waitEqual(b)
      await b.waitSaved()
      assert.equal(b.connections, 1)
    }
    await works()
    // Left, and entered again.
    a.text().insert(0, 'kept')
    a.provider.destroy()
    await waitFor(async () => (await serverCopy(server, `a ${version}`)).getText('text').toString() === 'kept', 5_000, 'what was sent before leaving')
    await works()
    const again = openHocuspocus(server, `a ${version}`, { socket, t })
    await again.waitSynced()
    assert.equal(again.text().toString(), 'kept')
    // Refused.
    const refused = openHocuspocus(server, 'bad\nname', { socket, t })
    await waitFor(() => refused.refusals.length === 1, 5_000, 'the refusal')
    await works()
    // Broken: bytes that are no message, for one document.
    socket.provider.webSocket.send(Buffer.concat([Buffer.from([3 + version.toString().length - 1]), Buffer.from(`a ${version}`), Buffer.from([0, 2, 3, 1, 1, 1])]))
    const told = version === 4 ? again.closes : again.refusals
    await waitFor(() => told.length === 1, 5_000, 'the broken document to be closed')
    await works()
    assert.equal(socket.opened, 1)
    assert.deepEqual(socket.closes, [])
  }
})

test('one document twice on one socket, by session addresses', async t => {
  const server = await start({ t })
  const socket = openSocket(server, { t })
  const [a, b] = [1, 2].map(() => openHocuspocus(server, 'same', { socket, t, provider: { sessionAwareness: true } }))
  const c = openHocuspocus(server, 'same', { t })
  await Promise.all([a, b, c].map(client => client.waitSynced()))
  a.awareness.setLocalStateField('user', 'A')
  a.text().insert(0, 'from a')
  await Promise.all([b.waitEqual(a), c.waitEqual(a)])
  await waitFor(() => b.awareness.getStates().get(a.clientId)?.user === 'A', 5_000, 'A at B')
  await a.waitSaved()
  a.provider.destroy()
  b.text().insert(0, 'b ')
  await c.waitEqual(b)
  await waitFor(() => !c.awareness.getStates().has(a.clientId), 5_000, 'A gone')
  assert.equal(socket.opened, 1)
})

test('stateless messages reach the other Hocuspocus clients, whatever their version', async t => {
  const server = await start({ t })
  const clients = [4, 3, 2].map(version => openHocuspocus(server, 'stateless', { t, version }))
  const others = [openClient(server, 'stateless', { t }), openYSweet(server, 'stateless', { t })]
  await Promise.all([...clients, ...others].map(client => client.waitSynced()))
  clients.forEach((client, i) => client.provider.sendStateless(`hello \u{1F600} ${i}`))
  await waitFor(() => clients.every(client => client.stateless.length === 2), 5_000, 'two each')
  assert.deepEqual(clients[0].stateless.toSorted(), ['hello \u{1F600} 1', 'hello \u{1F600} 2'])
  others[0].text().insert(0, 'unharmed')
  await Promise.all(clients.map(client => client.waitEqual(others[0])))
  await others[1].waitEqual(others[0])
  assert.ok([...others].every(client => client.connections === 1))
})

test('the pre-release of y-websocket 4 edits with the others and sees them', async t => {
  const server = await start({ t })
  const next = openYWebsocket4(server, 'next', { t })
  const others = [openClient(server, 'next', { t }), openHocuspocus(server, 'next', { t }), openYSweet(server, 'next', { t })]
  await Promise.all([next, ...others].map(client => client.waitSynced()))
  next.text().insert(0, 'from the next version ')
  others.forEach((client, i) => client.text().insert(0, `${i} \u{1F600} `))
  for (const client of others) await next.waitEqual(client)
  next.awareness.setLocalStateField('user', 'next')
  others[1].awareness.setLocalStateField('user', 'Hocuspocus')
  for (const client of others) await waitFor(() => client.awareness.getStates().get(next.clientId)?.user === 'next', 5_000, 'the next version to be seen')
  await waitFor(() => next.awareness.getStates().get(others[1].clientId)?.user === 'Hocuspocus', 5_000, 'Hocuspocus to be seen')
  next.drop()
  next.text().insert(0, 'offline ')
  await waitFor(() => next.connections === 2 && next.synced, 10_000, 'its return')
  for (const client of others) await next.waitEqual(client)
})
