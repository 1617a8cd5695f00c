// O-26 Delivery over long poll is by cursor: a lost answer is repeated, a repeated request is harmless; the merge is the same on
// every transport.
//
// Fault: messages between two polls never came; users whose network blocks WebSocket overwrote the others.
// Long form: 1,000 updates at 200 a second. Short form: 600.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../lib/client.mjs'
import { openQuire } from '../lib/quire.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { httpProxy } from './lib/http-proxy.mjs'
import { settle } from './lib/room.mjs'
import { limit, size } from './lib/size.mjs'
import { transports } from './lib/transports.mjs'

const UPDATES = size(1_000, 600)
const PER_SECOND = 200

test('O-26 WebSocket, SSE and a long poll that loses every fifth answer and repeats every tenth request edit one paragraph', limit(180_000, 90_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const server = await start({ t })
  let [polls, sends] = [0, 0]
  const proxy = await httpProxy(server, { t, rules: {
    lose: ({ method, url }) => method === 'GET' && url.includes('/poll') && polls++ % 5 === 1,
    repeat: ({ method, url }) => method === 'POST' && url.includes('/frames') && sends++ % size(10, 5) === 1
  } })
  const a = transports[0].open(server, 'paragraph', { t })
  const b = openQuire(server, 'paragraph', { t, transports: ['sse'] })
  const c = openQuire(proxy, 'paragraph', { t, transports: ['poll'] })
  const all = [a, b, c]
  for (const [i, client] of all.entries()) client.awareness.setLocalStateField('user', { name: 'abc'[i] })
  await Promise.all(all.map(client => client.waitSynced()))
  const names = client => [...client.others().values()].map(state => state.user?.name).sort().join('')
  await waitFor(() => names(a) === 'bc' && names(b) === 'ac' && names(c) === 'ab', 10_000, () => `presence in all directions: ${all.map(names)}`)

  const began = performance.now()
  const requestsBefore = c.requests.length
  for (let i = 0; i < UPDATES; i++) {
    const due = began + i * 1000 / PER_SECOND
    if (due > performance.now()) await new Promise(resolve => setTimeout(resolve, due - performance.now()))
    a.text().insert(random.int(0, a.text().length), 'a')
    if (i % 20 === 0) b.text().insert(random.int(0, b.text().length), 'b')
    if (i % 20 === 10) c.text().insert(random.int(0, c.text().length), 'c')
  }
  const ended = performance.now()
  const rate = (c.requests.length - requestsBefore) / ((ended - began) / 1000)
  await settle(server, 'paragraph', all, { deadline: 10_000 })
  assert.equal(a.text().length, UPDATES + 2 * UPDATES / 20)
  await Promise.all([b.waitConfirmed(), c.waitConfirmed()])
  t.diagnostic(`${proxy.lost} answers lost, ${proxy.repeated} requests repeated; the poll client made ${rate.toFixed(1)} requests a second`)
  assert.ok(proxy.lost > 0 && proxy.repeated > 0, 'the proxy did its work')
  assert.ok(rate <= 5, `${rate} requests a second`)
  assert.deepEqual([b.connections, c.connections], [1, 1])
  await waitFor(() => names(a) === 'bc' && names(b) === 'ac' && names(c) === 'ab', 10_000, 'presence still in all directions')
})
