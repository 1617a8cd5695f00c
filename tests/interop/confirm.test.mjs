// Confirmed means stored: an edit comes back to its sender only after the store's commit; everybody else has it before.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, documentUrl, openClient, serverCopy, waitFor } from './lib/client.mjs'
import { start } from './lib/server.mjs'

const DELAY = 1_500

/** An update that inserts one word by a client of its own. */
function edit (clientId, word) {
  const doc = new Y.Doc()
  doc.clientID = clientId
  doc.getArray('words').push([word])
  return Y.encodeStateAsUpdate(doc)
}

const carries = clientId => message => (message.kind === 'update' || message.kind === 'step2') &&
  Y.decodeUpdate(message.payload).structs.some(struct => struct.id.client === clientId)

for (const store of ['redb', 'sled']) {
  test(`on ${store} the sender hears of its edit after the commit, the others before`, async t => {
    const server = await start({ t, store, faults: [`store-delay=${DELAY}ms`] })
    const url = documentUrl(server, 'slow store')
    const a = await RawClient.connect(url, { t })
    const b = await RawClient.connect(url, { t })
    await Promise.all([a.fence(), b.fence()])
    const sent = performance.now()
    await a.update(edit(1001, 'one'))
    const seen = await b.expect(carries(1001), 5_000, 'the edit at the other editor')
    const newcomer = await RawClient.connect(url, { t })
    assert.ok(carries(1001)({ kind: 'update', payload: await newcomer.read() }), 'a newcomer sees it too')
    assert.equal(a.messages.find(carries(1001)), undefined, 'not confirmed while the store is at it')
    const confirmed = await a.expect(carries(1001), 10_000, 'the confirmation')
    assert.ok(confirmed.at - sent >= DELAY, `confirmed after ${confirmed.at - sent} ms, the commit takes ${DELAY} ms`)
    assert.ok(seen.at - sent < DELAY, `the others waited ${seen.at - sent} ms`)
    assert.equal(b.messages.filter(carries(1001)).length, 1, 'told once')
  })

  test(`on ${store} an edit is on disk at the moment its confirmation arrives`, async t => {
    const server = await start({ t, store, faults: ['store-delay=100ms'] })
    const url = () => documentUrl(server, 'killed at the confirmation')
    let confirmed = 0
    for (let round = 0; round < 4; round++) {
      const a = await RawClient.connect(url(), { t })
      for (let i = 0; i < 10; i++) await a.update(edit(10_000 + round * 10 + i, `word ${round} ${i}`))
      // Killed at the first confirmation of a random-looking one; whatever was confirmed by then must be there.
      await a.expect(carries(10_000 + round * 10 + (round * 7) % 10), 20_000, 'a confirmation')
      server.signal('SIGKILL')
      const words = new Set(a.messages.filter(m => m.kind === 'update' || m.kind === 'step2')
        .flatMap(m => Y.decodeUpdate(m.payload).structs).map(struct => struct.id.client).filter(id => id >= 10_000 + round * 10))
      await server.restart()
      const clients = Y.decodeStateVector(Y.encodeStateVector(await serverCopy(server, 'killed at the confirmation')))
      for (const id of words) assert.ok(clients.has(id), `round ${round}: the confirmed edit of ${id} is there`)
      confirmed += words.size
    }
    assert.ok(confirmed >= 4)
  })
}

test('stock clients see each other at once and their confirmations late', async t => {
  const server = await start({ t, faults: [`store-delay=${DELAY}ms`] })
  const a = openClient(server, 'stock', { t })
  const b = openClient(server, 'stock', { t, version: 2 })
  await Promise.all([a.waitSynced(), b.waitSynced()])
  const sent = performance.now()
  a.text().insert(0, 'hello')
  await waitFor(() => b.text().toString() === 'hello', 5_000, 'the edit at the other client', 1)
  const seen = performance.now() - sent
  assert.equal(a.confirmedClock, 0)
  await a.waitConfirmed()
  assert.ok(performance.now() - sent >= DELAY)
  assert.ok(seen < DELAY, `seen after ${seen} ms`)
  assert.equal(a.text().toString(), 'hello', 'the confirmation changes nothing')
})
