// O-08 A restart restores the same history, so clients that come back add nothing.
//
// Fault: after a server restart with tabs open the whole document appeared twice, then four times.
// Long form: 10 restarts with gaps of 0, 5 and 60 s. Short form: 6 restarts with gaps of 0 and 1 s.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openClient, serverCopy, stateVector, waitFor } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { confirmed, recordOwn, settle, tap } from './lib/room.mjs'
import { transportOf } from './lib/transports.mjs'
import { limit, size } from './lib/size.mjs'

const GAPS = size([0, 5_000, 60_000, 0, 5_000, 0, 60_000, 5_000, 0, 0], [0, 1_000, 0, 0, 1_000, 0])
const SENTENCE = 'All happy documents are alike; each unhappy document is doubled in its own way. '

test('O-08 a restart with open clients doubles nothing', limit(600_000, 90_000), async t => {
  const server = await start({ t })
  const clients = [0, 1, 2].map(i => transportOf(i).open(server, 'notes', { t }))
  const own = recordOwn(clients[0])
  const received = tap(clients[0])
  await Promise.all(clients.map(client => client.waitSynced()))
  clients[0].text().insert(0, SENTENCE.repeat(64).slice(0, 5_000))
  clients[0].text().format(10, 20, { bold: true })
  await settle(server, 'notes', clients, { quiet: 300 })
  for (const update of own) await confirmed(received, update)
  const vector = stateVector(clients[0].doc)

  for (const [i, gap] of GAPS.entries()) {
    const signal = i % 2 === 0 ? 'SIGTERM' : 'SIGKILL'
    const before = clients.map(client => client.connections)
    const end = await server.kill(signal)
    if (signal === 'SIGTERM') assert.deepEqual(end, { code: 0, signal: null }, 'a graceful end')
    await new Promise(resolve => setTimeout(resolve, gap))
    await server.launch()
    await waitFor(() => clients.every((client, i) => client.connections > before[i] && client.synced), 15_000, 'the clients to come back')
    const copy = await settle(server, 'notes', clients, { quiet: 300 })
    for (const [who, doc] of [...clients.map((client, n) => [`client ${n}`, client.doc]), ['the server copy', copy]]) {
      assert.equal(doc.getText('text').length, 5_000, `${who} after restart ${i + 1} (${signal}, ${gap} ms)`)
      assert.deepEqual(stateVector(doc), vector, `${who}: the history after restart ${i + 1}`)
    }
  }

  for (const client of clients) client.destroy()
  await server.restart('SIGKILL')
  assert.equal((await serverCopy(server, 'notes')).getText('text').length, 5_000, 'with every old client gone')
  const late = openClient(server, 'notes', { t })
  await late.waitSynced()
  assert.deepEqual(stateVector(late.doc), vector)
  assert.deepEqual(server.panics(), [])
})
