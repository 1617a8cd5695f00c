// O-31 A document of very many small updates opens fast and holds nobody up.
//
// Fault: a small document with very many stored updates took minutes to open and froze everybody else.
// Long form: 500 KB from 100,000 updates by 10,000 client ids. Short form: 600 updates by 60. Once as the log is after a hard stop, and once compacted.
// Alone: how long a sync takes, and what the bystander waits.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, documentUrl, openClient, waitFor } from '../lib/client.mjs'
import { queryAwareness } from '../lib/frames.mjs'
import { start } from '../lib/server.mjs'
import { assertCalm, bystander } from './lib/bystander.mjs'
import { limit, size } from './lib/size.mjs'
import { getAt } from './lib/wire.mjs'

const CLIENTS = size(10_000, 60)
const UPDATES_EACH = 10
const ROOTS = 100
/** Updates that may be unconfirmed at a time. */
const IN_FLIGHT = 64
/** A full sync must not take longer, in milliseconds. */
const SYNC = 2_000
/** What the others may wait. */
const OTHERS = 200

/** Updates of many clients, each of whom knows its own edits only. */
function * updates () {
  for (let n = 0; n < CLIENTS; n++) {
    const doc = new Y.Doc()
    doc.clientID = 1_000 + n
    let made
    doc.on('update', update => { made = update })
    const list = doc.getArray(`list ${n % ROOTS}`)
    for (let i = 0; i < UPDATES_EACH; i++) {
      list.push([n % 10])
      yield made
    }
    doc.destroy()
  }
}

/**
 * Sends every one of them so that each is an entry of its own in the log: the next goes out when the document has taken the one before
 * it, which the answer to a question behind it says. Commits, which are much slower, go on meanwhile.
 */
async function sendApart (raw, list) {
  let unconfirmed = 0
  const answered = () => {
    const seen = raw.messages.splice(0)
    raw.received.length = 0
    for (const { kind, payload } of seen) {
      // Confirmations may come together in one message.
      if (kind === 'update') for (const { length } of Y.decodeUpdate(payload).structs) unconfirmed -= length
    }
    return seen.some(({ kind }) => kind === 'awareness')
  }
  for (const update of list) {
    unconfirmed++
    await raw.update(update)
    await raw.send(queryAwareness())
    while (!answered()) {
      if (raw.closed) throw new Error(raw.describe())
      await new Promise(resolve => setImmediate(resolve))
    }
    if (unconfirmed >= IN_FLIGHT) await waitFor(() => { answered(); return unconfirmed < IN_FLIGHT }, 60_000, () => `confirmations, ${unconfirmed} are open`, 1)
  }
  await waitFor(() => { answered(); return unconfirmed === 0 }, 60_000, () => `all confirmations, ${unconfirmed} are open`)
}

for (const store of ['redb', 'sled']) {
  test(`O-31 a document of ${CLIENTS * UPDATES_EACH} updates on ${store} opens fast`, limit(300_000, 120_000), async t => {
    const server = await start({ t, store })
    const raw = await RawClient.connect(documentUrl(server, 'many'), { t })
    await raw.fence()
    const begun = performance.now()
    await sendApart(raw, updates())
    const { docs: [{ seq, bytes, log_len: log }] } = await (await server.fetch('/v1/docs')).json()
    assert.equal(seq, CLIENTS * UPDATES_EACH, 'appends to the log')
    t.diagnostic(`${seq} appends in ${((performance.now() - begun) / 1000).toFixed(0)} s; ${bytes} bytes stored, ${log} updates in the log`)
    raw.drop()

    for (const [signal, state] of [['SIGKILL', 'as it was left'], ['SIGTERM', 'after it was opened once']]) {
      await server.restart(signal)
      const other = await bystander(server, 'another room', { t })
      const begin = performance.now()
      const client = openClient(server, 'many', { t })
      const healthy = getAt(server, '/healthz')
      await client.waitSynced(60_000)
      const took = performance.now() - begin
      assert.equal((await healthy).status, 200)
      assert.equal([...client.doc.share.keys()].reduce((sum, key) => sum + client.doc.getArray(key).length, 0), CLIENTS * UPDATES_EACH)
      assert.ok(took < SYNC, `${state}: the sync took ${took.toFixed(0)} ms`)
      // Until the compaction that follows is through, too.
      await new Promise(resolve => setTimeout(resolve, 500))
      t.diagnostic(`${state}: synced after ${took.toFixed(0)} ms; ${assertCalm(await other.stop(), OTHERS)}`)
      client.destroy()
    }
    assert.deepEqual(server.panics(), [])
  })
}
