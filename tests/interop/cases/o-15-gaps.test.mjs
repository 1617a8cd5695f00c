// O-15 A hole in a client's edits is noticed and asked for, never looped over, kept across restarts, and filled in.
//
// Fault: one lost message left a hole; everything after it was invisible, and client and server resent without end.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, documentOf, documentUrl, never, openClient, serverCopy, waitFor } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { confirmed, tap } from './lib/room.mjs'
import { limit } from './lib/size.mjs'

/** Five edits of one author; the third also deletes across the end of the first and the start of the second. */
function consecutive () {
  const doc = new Y.Doc()
  const updates = []
  doc.on('update', update => updates.push(update))
  const text = doc.getText('text')
  text.insert(0, 'one ')
  text.insert(4, 'two ')
  doc.transact(() => { text.delete(2, 3); text.insert(text.length, 'three ') })
  text.insert(text.length, 'four ')
  text.insert(text.length, 'five')
  return { updates, whole: text.toString() }
}

/** Five edits of five authors, each written behind the one before: no author has a hole, but each needs the others. */
function causal () {
  const updates = []
  let known = []
  for (const word of ['one ', 'two ', 'three ', 'four ', 'five']) {
    const doc = new Y.Doc()
    for (const update of known) Y.applyUpdate(doc, update)
    const vector = Y.encodeStateVector(doc)
    doc.getText('text').insert(doc.getText('text').length, word)
    updates.push(Y.encodeStateAsUpdate(doc, vector))
    known = [Y.encodeStateAsUpdate(doc)]
  }
  return { updates, whole: 'one two three four five' }
}

const copyText = async server => (await serverCopy(server, 'notes')).getText('text').toString()

describe('O-15 holes', { concurrency: true }, () => {
  for (const [kind, make] of [['one author', consecutive], ['five authors', causal]]) {
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      test(`O-15 a hole in the edits of ${kind} is kept across a restart (${signal}) and filled without a loop`, limit(90_000, 90_000), async t => {
        const { updates: [u1, u2, u3, u4, u5], whole } = make()
      const first = documentOf([u1, u3, u4]).getText('text').toString()
      assert.notEqual(first, '')
        const server = await start({ t })
        const raw = await RawClient.connect(documentUrl(server, 'notes'), { t })
        await raw.fence()
        for (const update of [u1, u3, u4]) await raw.update(update)
        if (kind === 'one author') {
          // Nobody answers: the server may ask again, but in moderation.
          await waitFor(() => raw.messages.filter(message => message.kind === 'step1').length >= 2, 5_000, 'the server to ask the sender again')
        }
        for (const update of [u1, u3, u4]) await confirmed(raw, update)

        const fresh = openClient(server, 'notes', { t, connect: false })
        const frames = tap(fresh)
        fresh.connect()
        await fresh.waitSynced()
        assert.equal(fresh.text().toString(), first, 'what comes before the hole is visible, the rest is not')
        const atRaw = raw.messages.length
        await never(() => frames.length >= 20 || raw.messages.length - atRaw >= 20, 10_000,
          `20 frames in 10 s; to the fresh client: ${frames.map(f => f.kind)}, to the sender: ${raw.describe()}`)
        assert.equal(fresh.connections, 1)
        fresh.destroy()
        raw.drop()

        await server.restart(signal)
        const open = openClient(server, 'notes', { t })
        await open.waitSynced()
        assert.equal(open.text().toString(), first, 'after the restart')
        const again = await RawClient.connect(documentUrl(server, 'notes'), { t })
        await again.fence()
        await again.update(u5)
        await again.update(u2)
        const filled = performance.now()
        await waitFor(() => open.text().toString() === whole, 5_000, () => `all five at an open client; it has ${JSON.stringify(open.text().toString())}`)
        assert.equal(await copyText(server), whole, 'all five at a fresh client')
        assert.ok(performance.now() - filled < 5_000)
        await confirmed(again, u2)
        open.destroy()
        again.drop()

        await server.restart(signal)
        assert.equal(await copyText(server), whole, 'after another restart')
        assert.deepEqual(server.panics(), [])
      })
    }
  }
})
