// O-38 Somebody whose network died is gone for the others within a documented time, on every transport, and its resources with it.
//
// Fault: cursors of people whose network died stayed; SSE clients were never noticed as gone.
// Long form: the server's own intervals (gone in 45 s), and 300 of them a transport. Short form: --keepalive 3s, 20 each.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openClient, waitFor } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { start } from '../lib/server.mjs'
import { limit, size } from './lib/size.mjs'
import { allTransports } from './lib/transports.mjs'

const KEEPALIVE = size('20s', '3s')
const GONE_IN = size(45_000, 12_000)
const EACH = size(300, 20)

test('O-38 who is blackholed is gone for the others, a newcomer never sees them, and their files are given back', limit(240_000, 90_000), async t => {
  const server = await start({ t, args: ['--keepalive', KEEPALIVE] })
  const cutter = await cut(server, { t })
  const witness = openClient(server, 'doc', { t })
  await witness.waitSynced()
  const clean = openClient(server, 'doc', { t })
  await clean.waitSynced()
  clean.awareness.setLocalStateField('user', 'clean')
  const base = await server.openFiles()
  const ghosts = allTransports.map((transport, i) => {
    const client = transport.open(cutter, 'doc', { t })
    client.awareness.setLocalStateField('user', `ghost ${i}`)
    return client
  })
  const users = client => [...client.others().values()].map(state => state.user).filter(Boolean).sort()
  const expected = ['clean', ...allTransports.map((_, i) => `ghost ${i}`)]
  await waitFor(() => users(witness).join() === expected.join(), 15_000, () => `everybody: ${users(witness)}`)
  // Others of theirs without presence, for the count of files.
  const many = Array.from({ length: EACH * 3 }, (_, i) => allTransports[i % allTransports.length].open(cutter, `doc ${i % 7}`, { t }))
  await Promise.all(many.map(client => client.waitSynced(30_000)))

  cutter.blackhole()
  for (const client of [...ghosts, ...many]) {
    // What they try from now on goes nowhere; they are as good as gone.
    client.provider.disconnect()
  }
  const began = performance.now()
  await waitFor(() => users(witness).join() === 'clean', GONE_IN, () => `only one left: ${users(witness)}`)
  t.diagnostic(`gone after ${((performance.now() - began) / 1000).toFixed(1)} s`)
  const newcomer = openClient(server, 'doc', { t })
  const seen = new Set()
  newcomer.awareness.on('change', () => { for (const user of users(newcomer)) seen.add(user) })
  await newcomer.waitSynced()
  await waitFor(() => users(newcomer).includes('clean'), 5_000, 'the living one')
  assert.deepEqual([...seen], ['clean'])
  await waitFor(async () => await server.openFiles() <= base + 10, GONE_IN, async () => `files given back: ${await server.openFiles()} of ${base} at first`, 100)
  const left = performance.now()
  clean.disconnect()
  await waitFor(() => users(witness).length === 0, 2_000, 'the clean close')
  t.diagnostic(`a clean close after ${(performance.now() - left).toFixed(0)} ms`)
})
