// O-13 All who open a document wait for the same single load; nobody gets half of it.
//
// Fault: the second person to open a loading document got an empty one that claimed to be synced; the application then
// inserted its template.
// Long form: 20 MB in 50,000 updates. Short form: 1 MB in 2,000. 50 clients join within 100 ms in both.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, documentUrl, serverCopy, waitFor } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { confirmed } from './lib/room.mjs'
import { transportOf } from './lib/transports.mjs'
import { limit, size } from './lib/size.mjs'

const UPDATES = size(50_000, 2_000)
const PER_UPDATE = size(400, 500)
const JOINERS = 50
const AUTHORS = 10
const TEMPLATE = '<template>'

/** Updates of several authors who take turns, each a paragraph at a random place. */
function paragraphs (random) {
  const updates = []
  const authors = Array.from({ length: AUTHORS }, () => new Y.Doc())
  for (const author of authors) author.on('update', update => updates.push(update))
  // Each author writes into a part of its own, so that no author needs to hold the others' text.
  for (let n = 0; n < UPDATES; n++) {
    const text = authors[n % AUTHORS].getText('text')
    text.insert(random.int(0, text.length), String(n % 10).repeat(PER_UPDATE))
  }
  return updates
}

test('O-13 all openers of a loading document wait for the same load', limit(900_000, 90_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const server = await start({ t })
  const updates = paragraphs(new Random(runSeed))
  const raw = await RawClient.connect(documentUrl(server, 'big'), { t })
  await raw.fence()
  for (const update of updates) await raw.send(frames.update(update))
  await raw.fence(size(300_000, 30_000))
  await confirmed(raw, Y.mergeUpdates(updates), size(300_000, 30_000))
  raw.drop()

  for (const signal of ['SIGKILL', 'SIGTERM']) {
    await server.restart(signal)
    const seen = []
    const joiners = []
    const from = performance.now()
    for (let i = 0; i < JOINERS; i++) {
      const client = transportOf(i).open(server, 'big', { t, connect: false })
      client.provider.on('sync', synced => {
        if (!synced) return
        seen.push(client.text().length)
        if (client.text().length === 0) client.text().insert(0, TEMPLATE)
      })
      joiners.push(client)
    }
    t.diagnostic(`${JOINERS} clients made in ${(performance.now() - from).toFixed(0)} ms`)
    const joining = performance.now()
    for (const client of joiners) client.connect()
    assert.ok(performance.now() - joining < 100, 'all join within 100 ms')
    await waitFor(() => seen.length >= JOINERS, size(300_000, 40_000), () => `${JOINERS} first syncs, got ${seen.length}`, 50)
    t.diagnostic(`${signal}: all synced after ${(performance.now() - joining).toFixed(0)} ms`)
    assert.deepEqual(seen.filter(length => length !== UPDATES * PER_UPDATE), [], 'lengths at the moment of "synced"')
    assert.ok(joiners.every(client => client.connections === 1), 'each joined with one connection')
    for (const client of joiners) client.destroy()
    const copy = (await serverCopy(server, 'big', { deadline: 60_000 })).getText('text')
    assert.equal(copy.length, UPDATES * PER_UPDATE)
    assert.ok(!copy.toString().includes(TEMPLATE), 'no template appears')
  }
  assert.deepEqual(server.panics(), [])
})
