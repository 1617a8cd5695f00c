// O-13 All who open a document wait for the same single load; nobody gets half of it.
//
// Fault: the second person to open a loading document got an empty one that claimed to be synced; the application then
// inserted its template.
// Long form: 20 MB in 50,000 updates. Short form: 1 MB in 2,000. 50 clients join within about 100 ms in both.
// Alone: how fast clients join.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, documentUrl, serverCopy } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { joinAtOnce } from './lib/joiners.mjs'
import { confirmed } from './lib/room.mjs'
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
    const { lengths, connections, took, after } = await joinAtOnce(server, 'big', { t, count: JOINERS, template: TEMPLATE, deadline: size(300_000, 40_000) })
    t.diagnostic(`${signal}: ${JOINERS} clients joined within ${took.toFixed(0)} ms, the last was synced after ${after.toFixed(0)} ms`)
    assert.ok(took < 1_000, `this machine took ${took} ms to let them join; they are to come within about 100`)
    assert.equal(lengths.length, JOINERS, 'every client is synced once')
    assert.deepEqual(lengths.filter(length => length !== UPDATES * PER_UPDATE), [], 'lengths at the moment of "synced"')
    assert.ok(connections.every(count => count === 1), `each joined with one connection: ${connections}`)
    const copy = (await serverCopy(server, 'big', { deadline: 60_000 })).getText('text')
    assert.equal(copy.length, UPDATES * PER_UPDATE)
    assert.ok(!copy.toString().includes(TEMPLATE), 'no template appears')
  }
  assert.deepEqual(server.panics(), [])
})
