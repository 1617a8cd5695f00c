// O-24 Idle documents leave memory, and the memory comes back.
//
// Fault: every document ever opened stayed in memory.
// Long form: three rounds of 20,000 documents, idle for 30 s before they leave, memory within 100 MB of the start. Short form: three
// rounds of 400, idle for 1 s, within 40 MB. A third of the authors leave by an abrupt cut, half of those before their edit is
// confirmed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, documentUrl, waitFor } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { confirmed } from './lib/room.mjs'
import { MB } from './lib/memory.mjs'
import { limit, size } from './lib/size.mjs'

const DOCUMENTS = size(20_000, 400)
const ROUNDS = 3
const AT_ONCE = 32
const IDLE_S = size(30, 1)
const BOUND = size(100, 40) * MB
const REOPENED = size(100, 20)

/** Client `id` types this into the text `text`. */
function typed (id, words) {
  const doc = new Y.Doc()
  doc.clientID = id
  doc.getText('text').insert(0, words)
  return Y.encodeStateAsUpdate(doc)
}

async function visit (server, name, n, words) {
  const raw = await RawClient.connect(documentUrl(server, name))
  const update = typed(n + 1, words)
  await raw.send(frames.update(update))
  const leaving = n % 6
  // What is cut before it is confirmed may or may not be there; what was confirmed is.
  if (leaving === 0) await new Promise(resolve => setTimeout(resolve, 1))
  else await confirmed(raw, update)
  if (leaving === 0 || leaving === 3) raw.drop()
  else await raw.close()
  return leaving !== 0
}

test('O-24 idle documents leave memory and the memory comes back', limit(3_600_000, 120_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const server = await start({ t, args: ['--idle-unload', `${IDLE_S}s`], env: { QUIRE_LOG: 'info,quire_server::doc::task=debug' } })
  // Counted as they come: the log of the harness is bounded.
  const left = { loaded: 0, gone: 0 }
  server.onLine = line => {
    if (line.includes(' from=Loading to=Idle')) left.loaded++
    if (line.includes(' to=Gone')) left.gone++
  }
  await visit(server, 'first', 1, 'x')
  const base = server.memory().rss
  const after = []
  const kept = new Map()
  for (let round = 0; round < ROUNDS; round++) {
    let next = 0
    const visitor = async () => {
      for (let n = next++; n < DOCUMENTS; n = next++) {
        const name = `round-${round}/${n}`
        const words = `${name} `.padEnd(1_024, '.')
        if (await visit(server, name, n, words)) kept.set(name, words)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, visitor))
    await waitFor(() => left.loaded === left.gone, (IDLE_S + 60) * 1_000, () => `all to leave; ${JSON.stringify(left)}`, 100)
    // The allocator gives back what it has some time after it is free.
    await waitFor(() => server.memory().rss < base + BOUND, 20_000,
      () => `memory to come back; ${((server.memory().rss - base) / MB).toFixed(1)} MB above the start`, 100)
    after.push((server.memory().rss - base) / MB)
  }
  t.diagnostic(`memory at the start ${(base / MB).toFixed(1)} MB, above it after each round ${after.map(mb => mb.toFixed(1)).join(', ')} MB; ${left.loaded} documents`)
  // The engine's cache (64 MiB) fills in the first rounds; what grows after that is none.
  assert.ok(after[ROUNDS - 1] - after[ROUNDS - 2] < size(20, 10), `a trend: ${after.map(mb => mb.toFixed(1)).join(', ')} MB`)
  for (const name of random.shuffle([...kept.keys()]).slice(0, REOPENED)) {
    const raw = await RawClient.connect(documentUrl(server, name))
    const doc = new Y.Doc()
    Y.applyUpdate(doc, await raw.read())
    assert.equal(doc.getText('text').toString(), kept.get(name), name)
    raw.drop()
  }
  assert.deepEqual(server.panics(), [])
})
