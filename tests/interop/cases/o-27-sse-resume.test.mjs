// O-27 A stream that was cut is resumed exactly, or replaced by a full sync; keepalives carry no id. What cursors are refused is in
// sessions.test.mjs.
//
// Fault: events during a gap were lost; elsewhere ids on housekeeping events pushed the cursor past real ones.
// Long form: two minutes, cut every 3 s, a restart in the middle. Short form: 8 s, cut every second.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openClient } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { openQuire } from '../lib/quire.mjs'
import { start } from '../lib/server.mjs'
import { settle } from './lib/room.mjs'
import { limit, size } from './lib/size.mjs'

const LASTS = size(120_000, 8_000)
const EVERY = size(3_000, 1_000)
const PER_SECOND = 50

test('O-27 an SSE client that is cut off again and again converges, on one session as long as the server lives', limit(240_000, 60_000), async t => {
  const server = await start({ t })
  const cutter = await cut(server, { t })
  const a = openClient(server, 'doc', { t })
  const b = openQuire(cutter, 'doc', { t, transports: ['sse'] })
  await Promise.all([a.waitSynced(), b.waitSynced()])
  const began = performance.now()
  let [edits, cuts, restarted] = [0, 0, false]
  while (performance.now() - began < LASTS) {
    const elapsed = performance.now() - began
    if (elapsed > edits * 1000 / PER_SECOND) {
      a.text().insert(a.text().length, `${edits} `)
      if (edits++ % 10 === 0) b.text().insert(0, 'b')
    }
    if (elapsed > (cuts + 1) * EVERY) {
      cuts++
      cutter.reset()
    }
    if (!restarted && elapsed > LASTS / 2) {
      restarted = true
      await a.waitConfirmed()
      assert.equal(b.connections, 1, `resumed ${cuts} times: ${b.events.join(' ')}`)
      await server.restart('SIGTERM')
    }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  await settle(server, 'doc', [a, b], { deadline: 20_000 })
  const opened = b.requests.filter(({ path }) => path.endsWith('/sessions')).length
  const streams = b.requests.filter(({ path }) => path.endsWith('/events')).length
  t.diagnostic(`${edits} edits, ${cuts} cuts, ${streams} streams, ${opened} sessions asked for, ${b.connections} connections`)
  assert.ok(streams >= cuts)
  assert.ok(b.events.every(event => event !== 'transport:poll'), 'cuts are no reason to give up streaming')
  await b.waitConfirmed()
})
