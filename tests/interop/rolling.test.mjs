// Three servers are restarted one after the other while clients type through a plain round-robin balancer.
//
// QUIRE_ROLLING says how many clients (the recipe `just rolling` takes 300). In CI 24 of them.
// Alone: how long clients are out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancer } from './lib/balancer.mjs'
import { openClient, serverCopy, waitFor } from './lib/client.mjs'
import { connected, nodes } from './lib/nodes.mjs'

const CLIENTS = Number(process.env.QUIRE_ROLLING ?? 24)
const DOCUMENTS = Math.ceil(CLIENTS / 10)
const OUT_MS = 5_000
const TYPING_MS = 400

test(`a rolling restart of three servers under ${CLIENTS} typing clients`, { timeout: 300_000 }, async t => {
  const { servers } = await nodes(t, 3)
  const front = await balancer(t, servers)
  const clients = Array.from({ length: CLIENTS }, (_, number) => openClient(front, `rolling-${number % DOCUMENTS}`, { t }))
  await Promise.all(clients.map(client => client.waitSynced(60_000)))
  // When each was last cut off, how long it was out at most, and when it came back.
  const outages = clients.map(() => ({ since: null, longest: 0, returns: [] }))
  clients.forEach((client, at) => client.provider.on('status', ({ status }) => {
    const outage = outages[at]
    if (status === 'disconnected') outage.since ??= performance.now()
    if (status === 'connected' && outage.since !== null) {
      outage.longest = Math.max(outage.longest, performance.now() - outage.since)
      outage.returns.push(performance.now())
      outage.since = null
    }
  }))
  const typed = clients.map(() => 0)
  const timers = clients.map((client, at) => setInterval(() => { client.text().insert(0, `${at}.${typed[at]++} `) }, TYPING_MS + at))
  t.after(() => timers.forEach(clearInterval))
  const spreads = []
  for (const server of servers) {
    const begun = performance.now()
    const end = await server.kill('SIGTERM')
    assert.deepEqual([end.code, end.signal], [0, null])
    await server.launch()
    await connected([server])
    await waitFor(() => clients.every(client => client.connected), 30_000, 'everybody to be back')
    spreads.push(outages.flatMap(({ returns }) => returns.filter(at => at >= begun).map(at => Math.round(at - begun))))
  }
  timers.forEach(clearInterval)
  await Promise.all(clients.map(client => client.waitConfirmed(60_000)))
  for (let document = 0; document < DOCUMENTS; document++) {
    const authors = clients.flatMap((client, at) => at % DOCUMENTS === document ? [at] : [])
    const stored = (await serverCopy(front, `rolling-${document}`)).getText('text').toString()
    const length = authors.reduce((sum, at) => sum + Array.from({ length: typed[at] }, (_, number) => `${at}.${number} `.length).reduce((a, b) => a + b, 0), 0)
    assert.equal(stored.length, length, `something of document ${document} is missing`)
  }
  const longest = Math.max(...outages.map(outage => outage.longest))
  const tenths = spread => spread.reduce((sum, at) => { const tenth = Math.min(9, Math.floor(at / 500)); sum[tenth]++; return sum }, Array(10).fill(0))
  t.diagnostic(`${typed.reduce((a, b) => a + b, 0)} insertions; longest outage ${Math.round(longest)} ms; returns by half seconds ${spreads.map(spread => tenths(spread).join(' ')).join(' | ')}`)
  assert.ok(longest <= OUT_MS, `a client was out for ${Math.round(longest)} ms`)
})
