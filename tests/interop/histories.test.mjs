// Random histories of real yjs through the server: what goes in comes out.
//
// QUIRE_HISTORIES=N runs N of them (default 100), half on redb and half on sled. QUIRE_SEED=S starts at seed S; with a seed given,
// QUIRE_HISTORIES defaults to 1. QUIRE_WITHOUT=kind,kind switches kinds of edits and deliveries off (EDITS, DELIVERIES in lib/histories.mjs),
// and with `compact` the compaction of logs after a few updates.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { differential, Difference, essentialSteps, TELLS_LIVES } from './lib/differential.mjs'
import { EVENTS, fromJSON, makeHistory, toJSON } from './lib/histories.mjs'
import { runSeed, seedGiven } from './lib/seed.mjs'
import { start } from './lib/server.mjs'
import { shrink } from './lib/shrink.mjs'

const total = Number(process.env.QUIRE_HISTORIES || (seedGiven ? 1 : 100))
const without = (process.env.QUIRE_WITHOUT ?? '').split(',').filter(kind => kind !== '')
const compacts = !without.includes('compact')
const stores = ['redb', 'sled']

for (const [turn, store] of stores.entries()) {
  const seeds = Array.from({ length: total }, (_, i) => runSeed + i).filter((_, i) => i % stores.length === turn)
  test(`${seeds.length} histories on ${store} come out as yjs holds them`, { skip: seeds.length === 0 }, async t => {
    const server = await start({ t, store, args: ['--idle-unload', '0s'], faults: compacts ? ['eager-compaction=4'] : [], env: TELLS_LIVES })
    t.diagnostic(`seeds ${seeds[0]} to ${seeds.at(-1)}`)
    let run = 0
    const fails = async (history, patience = 2_000) => {
      try {
        await differential(server, history, { name: `history ${run++}`, prefix: run % 2 === 0 ? '/ws' : '', patience })
        return null
      } catch (error) {
        if (!server.running) await server.restart()
        return error
      }
    }
    for (const seed of seeds) {
      const history = makeHistory(seed, { without })
      const error = await fails(history, 15_000)
      if (!error) continue
      console.error(`seed ${seed} fails on ${store} (replay: QUIRE_SEED=${seed}): ${error.message}`)
      const { error: last, history: small, without: off, tries } = await shrink(history, candidate => fails(candidate), { without }).catch(e => ({ error: e, history, without, tries: 0 }))
      const path = join(tmpdir(), `quire-history-${seed}.json`)
      const json = JSON.stringify(toJSON(small))
      writeFileSync(path, json)
      console.error(`after ${tries} tries, without ${off.join(', ') || 'nothing'}: ${last.stack}\n${json}\nalso in ${path}`)
      throw new Error(`history with seed ${seed} differs (QUIRE_SEED=${seed})`, { cause: last })
    }
    assert.deepEqual(server.panics(), [])
    const compactions = server.logLines().filter(line => / compacted doc=history /.test(line)).length
    t.diagnostic(`${compactions} compactions among the last lines of the log`)
    assert.ok(compactions > 0 || !compacts, 'logs were compacted')
  })
}

test('a server that loses one update is found out', async t => {
  const server = await start({ t, store: 'memory' })
  let found = 0
  for (let seed = runSeed; found < 5; seed++) {
    // Without second copies, so that what is dropped does not come another way.
    const history = makeHistory(seed, { without: ['sync', 'twice', ...EVENTS] })
    const essential = essentialSteps(history)
    if (essential.length === 0) continue
    const drop = essential[seed % essential.length]
    await assert.rejects(differential(server, history, { name: `lossy ${seed}`, drop, patience: 300 }), Difference, `seed ${seed}, without step ${drop}`)
    found++
  }
})

test('a failing history is made smaller and still fails', async t => {
  const server = await start({ t, store: 'memory' })
  const options = { without: ['sync', 'twice', ...EVENTS, 'withhold'], operations: 20 }
  let seed = runSeed
  while (essentialSteps(makeHistory(seed, options)).length === 0 || makeHistory(seed, options).steps.length < 8) seed++
  let run = 0
  const fails = async history => {
    const drop = essentialSteps(history).at(-1)
    if (drop === undefined) return null
    return await differential(server, history, { name: `shrink ${run++}`, drop, patience: 50 }).then(() => null, error => error)
  }
  const history = makeHistory(seed, options)
  const { history: small, error, tries } = await shrink(history, fails, { seconds: 60, without: options.without })
  t.diagnostic(`seed ${seed}: ${history.steps.length} steps, after ${tries} tries ${small.steps.length}`)
  assert.ok(error instanceof Difference)
  assert.ok(small.steps.length < history.steps.length)
  const replayed = await fails(fromJSON(JSON.parse(JSON.stringify(toJSON(small)))))
  assert.ok(replayed instanceof Difference, 'the printed form fails as well')
})
