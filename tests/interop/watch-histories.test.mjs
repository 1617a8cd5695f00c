// Random histories of real yjs, watched: all patches of a stream, applied one after another, give what yjs holds.
//
// QUIRE_WATCHED=N runs N of them (default 20). QUIRE_SEED=S starts at seed S; with a seed given, QUIRE_WATCHED defaults to 1.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, documentUrl } from './lib/client.mjs'
import { EVENTS, makeHistory, plainDocument } from './lib/histories.mjs'
import { Random, runSeed, seedGiven } from './lib/seed.mjs'
import { start } from './lib/server.mjs'
import { shown } from './lib/shown.mjs'
import { canonical, Watcher } from './lib/watch.mjs'

const total = Number(process.env.QUIRE_WATCHED || (seedGiven ? 1 : 20))
const AT_A_TIME = 8

/** Kinds that yrs does not read; see the documentation of quire-view. */
const UNREAD = ['hook', 'jsonSurrogates']

/** Pushes a history while it is watched. Resolves with the names of the events that were told. */
async function run (server, seed) {
  const name = `watched ${seed}`
  const random = new Random(seed).fork(4)
  const history = makeHistory(seed, { without: [...UNREAD, ...EVENTS] })
  const watcher = await Watcher.open(server, name)
  const writer = await RawClient.connect(documentUrl(server, name))
  try {
    const fed = []
    for (const step of [...history.steps, ...history.late]) {
      await (step.as === 'step2' ? writer.step2(step.update) : writer.update(step.update))
      fed.push(step)
      // Now and then long enough for a reading, so that there are many.
      if (random.chance(0.4)) await new Promise(resolve => setTimeout(resolve, random.int(0, 40)))
    }
    const marker = new Y.Doc()
    marker.clientID = 2 ** 40
    marker.getArray('fence').push([seed])
    const update = Y.encodeStateAsUpdate(marker)
    fed.push({ update })
    await writer.update(update)
    const expected = shown(plainDocument(fed))
    await watcher.says(expected, 20_000)
    const content = await (await server.fetch(`/v1/docs/${encodeURIComponent(name)}/content`)).json()
    assert.equal(canonical(content), canonical(watcher.json))
    return watcher.names()
  } finally {
    watcher.drop()
    writer.drop()
  }
}

test(`${total} histories are watched as yjs holds them`, async t => {
  const server = await start({ t, store: 'memory', args: ['--watch-interval', '20ms'] })
  t.diagnostic(`seeds ${runSeed} to ${runSeed + total - 1}`)
  const counts = { snapshot: 0, patch: 0, unreadable: 0 }
  const failed = []
  let next = 0
  const work = async () => {
    while (next < total) {
      const seed = runSeed + next++
      try {
        for (const name of await run(server, seed)) counts[name]++
      } catch (error) {
        failed.push(seed)
        console.error(`seed ${seed} fails (replay: QUIRE_SEED=${seed}): ${error.message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))
  t.diagnostic(`told: ${JSON.stringify(counts)}`)
  assert.deepEqual(failed, [])
  assert.ok(counts.patch > 0)
  assert.deepEqual(server.panics(), [])
})
