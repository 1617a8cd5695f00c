// O-40 Somebody who comes back is seen at once, even with an unchanged clock.
//
// Fault: after a short drop the user was back but others did not see them for a while.
// Long form: 20 drops of 0.2, 1 and 5 s in turn, 20 explicit reconnects, 20 server restarts. Short form: 20 drops (18 of
// 0.2 s, one of each other), 20 explicit reconnects, 3 restarts.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClient, waitFor } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { start } from '../lib/server.mjs'
import { transports } from './lib/transports.mjs'
import { full, limit, size } from './lib/size.mjs'

const DROPS = 20
const RESTARTS = size(20, 3)
const SEEN_MS = 2_000

const dropMs = round => full ? [200, 1_000, 5_000][round % 3] : ({ 5: 1_000, 12: 5_000 })[round] ?? 200

const sees = (a, b) => a.others().get(b.clientId)?.name === 'B'

/** A watches, B comes and goes (through a cutter). */
async function pair (t, transport) {
  const server = await start({ t })
  const cutter = await cut(server, { t })
  const a = openClient(server, 'room', { t })
  const b = transport.open(cutter, 'room', { t })
  await Promise.all([a.waitSynced(), b.waitSynced()])
  a.awareness.setLocalStateField('name', 'A')
  b.awareness.setLocalStateField('name', 'B')
  await waitFor(() => sees(a, b), SEEN_MS, 'A to see B at first')
  return { server, cutter, a, b }
}

const clock = client => client.awareness.meta.get(client.clientId).clock

async function assertBack (a, b, label) {
  await waitFor(() => b.connected, 10_000, `${label}: B to be connected`)
  const from = performance.now()
  await waitFor(() => sees(a, b), SEEN_MS, () => `${label}: A to see B again; A has ${JSON.stringify([...a.awareness.getStates()])}, B's clock is ${clock(b)}`)
  assert.ok(performance.now() - from <= SEEN_MS)
}

describe('O-40 presence after a return', { concurrency: true }, () => {
  for (const transport of transports) {
    test(`O-40 B's socket is reset; A sees B again within 2 s (${transport.name})`, limit(200_000, 90_000), async t => {
      const { cutter, a, b } = await pair(t, transport)
      for (let round = 0; round < DROPS; round++) {
        const before = b.connections
        cutter.down()
        await waitFor(() => !sees(a, b), 5_000, 'A to see B leave')
        await waitFor(() => !b.connected, 5_000, 'B to notice')
        await new Promise(resolve => setTimeout(resolve, dropMs(round)))
        cutter.resume()
        await waitFor(() => b.connections > before, 10_000, 'B to come back')
        await assertBack(a, b, `drop ${round + 1}`)
      }
      assert.equal(a.connections, 1)
    })

    test(`O-40 B disconnects and connects; A sees B again within 2 s (${transport.name})`, limit(90_000, 90_000), async t => {
      const { a, b } = await pair(t, transport)
      for (let round = 0; round < DROPS; round++) {
        b.disconnect()
        await waitFor(() => !sees(a, b), 5_000, 'A to see B leave')
        b.connect()
        await assertBack(a, b, `return ${round + 1}`)
      }
    })

    test(`O-40 the server restarts; A and B see each other within 2 s (${transport.name})`, limit(200_000, 90_000), async t => {
      const { server, a, b } = await pair(t, transport)
      for (let round = 0; round < RESTARTS; round++) {
        const before = [a.connections, b.connections]
        await server.restart(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
        await waitFor(() => a.connections > before[0] && b.connections > before[1] && a.connected && b.connected, 15_000, 'both to come back')
        await assertBack(a, b, `restart ${round + 1}`)
        await waitFor(() => b.others().get(a.clientId)?.name === 'A', SEEN_MS, `restart ${round + 1}: B to see A`)
      }
    })
  }
})
