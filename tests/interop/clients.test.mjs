// Unmodified clients of two generations edit one document at both addresses; the server is killed; what it had confirmed is there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { compare, openClient, serverCopy, stateVector, waitFor, waitSettled } from './lib/client.mjs'
import { edit } from './lib/edits.mjs'
import { EDITS } from './lib/histories.mjs'
import { Random, runSeed } from './lib/seed.mjs'
import { start } from './lib/server.mjs'

/** Kinds whose author holds something else in memory than it writes; left out where live documents are compared. */
const UNEVEN = ['oddNumbers', 'surrogates', 'jsonSurrogates']
const uses = kind => EDITS.includes(kind) && !UNEVEN.includes(kind)

const trio = (server, name, t) => [
  openClient(server, name, { t, prefix: '' }),
  openClient(server, name, { t, prefix: '/ws' }),
  openClient(server, name, { t, prefix: '', version: 2 })
]

for (const store of ['redb', 'sled']) {
  test(`on ${store}: two clients of 3.1.0 and one of 2.1.0 converge, and a hard end loses nothing confirmed`, async t => {
    t.diagnostic(`seed ${runSeed}`)
    const random = new Random(runSeed)
    const server = await start({ t, store })
    const clients = trio(server, 'room', t)
    await Promise.all(clients.map(client => client.waitSynced()))
    for (let i = 0; i < 60; i++) {
      const client = random.pick(clients)
      client.doc.transact(() => edit(client.doc, random, uses))
      // Let frames cross, so that edits are concurrent but not all made in one turn.
      if (i % 5 === 0) await new Promise(setImmediate)
    }
    clients.forEach((client, i) => client.text('end').insert(0, `last of client ${i}. `))
    await Promise.all(clients.map(client => client.waitConfirmed()))
    await waitSettled(clients)
    const before = new Y.Doc()
    Y.applyUpdate(before, Y.encodeStateAsUpdate(clients[0].doc))

    // Nobody who could bring it back is there.
    for (const client of clients) client.destroy()
    await server.restart('SIGKILL')
    for (const options of [{ prefix: '' }, { prefix: '/ws' }, { prefix: '/ws', version: 2 }]) {
      compare(await serverCopy(server, 'room', options), before, `a fresh client (${JSON.stringify(options)}) and everything confirmed`)
    }
    assert.deepEqual(server.panics(), [])
  })

  test(`on ${store}: killed in the middle of typing, every confirmed edit is there`, async t => {
    const server = await start({ t, store })
    for (let round = 0; round < 3; round++) {
      const name = `typing ${round}`
      const clients = trio(server, name, t)
      await Promise.all(clients.map(client => client.waitSynced()))
      let typed = 0
      const typing = setInterval(() => clients.forEach(client => client.text(`of ${client.clientId}`).insert(typed++ % 3, 'x')), 5)
      await waitFor(() => clients.every(client => client.confirmedClock >= 20), 20_000, 'some confirmations').finally(() => clearInterval(typing))
      clients.forEach(client => client.text(`of ${client.clientId}`).insert(0, 'perhaps too late '))
      server.signal('SIGKILL')
      await server.exited()
      const confirmed = clients.map(client => [client.clientId, client.confirmedClock])
      for (const client of clients) client.destroy()
      await server.restart()
      const vector = stateVector(await serverCopy(server, name))
      for (const [id, clock] of confirmed) assert.ok((vector[id] ?? 0) >= clock, `round ${round}: ${vector[id]} of ${clock} confirmed by client ${id}`)
    }
  })

  test(`on ${store}: clients that stay through a hard end come back and converge with what they typed meanwhile`, async t => {
    const server = await start({ t, store })
    const clients = trio(server, 'through', t)
    await Promise.all(clients.map(client => client.waitSynced()))
    clients[0].text().insert(0, 'before ')
    await waitSettled(clients)
    await server.kill('SIGKILL')
    clients.forEach((client, i) => client.text().insert(client.text().length, `offline ${i} `))
    await server.restart()
    await waitFor(() => clients.every(client => client.synced && client.connections === 2), 20_000, 'everybody back')
    await waitSettled(clients)
    const text = (await serverCopy(server, 'through')).getText('text').toString()
    for (const words of ['before ', 'offline 0 ', 'offline 1 ', 'offline 2 ']) assert.equal(text.split(words).length, 2, `"${words}" once in "${text}"`)
    clients.forEach(client => assert.equal(client.ended, null))
  })
}

test('a graceful end sends clients home with 1012 and they come back', async t => {
  const server = await start({ t })
  const clients = trio(server, 'graceful', t)
  await Promise.all(clients.map(client => client.waitSynced()))
  clients[0].text().insert(0, 'typed just before')
  const end = await server.stop()
  assert.deepEqual(end, { code: 0, signal: null })
  for (const client of clients) {
    await waitFor(() => client.closes.length > 0, 5_000, 'the close')
    assert.equal(client.closes[0].code, 1012)
    assert.equal(client.ended, null)
  }
  await server.restart()
  await waitFor(() => clients.every(client => client.synced), 20_000, 'everybody back')
  await waitSettled(clients)
  assert.equal((await serverCopy(server, 'graceful')).getText('text').toString(), 'typed just before')
})
