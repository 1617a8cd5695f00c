// Crashes: real clients write, the server is killed at random moments, and everything that was confirmed to anybody is there.
//
// QUIRE_CRASH_ROUNDS=N runs N rounds on QUIRE_CRASH_STORE (redb by default), each killed after 0.05 to 5 s; without it, 20 shorter
// ones in all. QUIRE_SEED=S repeats what the editors write and when the server is to be killed; how far it is by then is up to the
// machine.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crash } from './crash/rounds.mjs'
import { runSeed } from './lib/seed.mjs'

const asked = Number(process.env.QUIRE_CRASH_ROUNDS || 0)
const plans = asked > 0
  ? [{ store: process.env.QUIRE_CRASH_STORE || 'redb', rounds: asked }]
  : [{ store: 'redb', rounds: 13 }, { store: 'sled', rounds: 7 }]

for (const { store, rounds } of plans) {
  test(`${rounds} crashes on ${store} lose nothing that was confirmed`, { timeout: 120_000 + rounds * 20_000 }, async t => {
    t.diagnostic(`seed ${runSeed}`)
    const note = asked > 0 ? line => console.error(line) : undefined
    const told = await crash({ store, rounds, longest: asked > 0 ? 5_000 : 800, seed: runSeed, t, note })
    t.diagnostic(`${told.rounds} rounds, ${told.documents} documents, ${told.confirmed} confirmed insertions and deletions, slowest start ${told.slowest.toFixed(0)} ms`)
    assert.ok(told.confirmed > rounds, 'something was confirmed')
  })
}

test('a store that forgets is found out', { skip: asked > 0 }, async t => {
  await assert.rejects(crash({ store: 'memory', rounds: 5, longest: 800, seed: runSeed, t }), /has lost confirmed (insertions|deletions)/)
})
