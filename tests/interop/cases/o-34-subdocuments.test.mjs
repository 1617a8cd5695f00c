// O-34 A parent passes its sub-documents through with ids and options intact; each is a stored room of its own.
//
// Fault: sub-documents came back with other ids or never synced.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { compare, documentOf, openClient, serverCopy } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { LONG_LOG, compacted, confirmed, oneByOne, recordOwn, serverDocument, tap, tellCompactions } from './lib/room.mjs'
import { limit } from './lib/size.mjs'

const OPTIONS = {
  eager: { guid: 'sub/eager', autoLoad: true, meta: { title: 'Eager', tags: ['a', 'b'] } },
  lazy: { guid: 'sub/lazy', autoLoad: false, meta: { title: 'Lazy', order: -0 } },
  plain: { guid: 'sub/plain', gc: false }
}

function assertParent (doc, keys, label) {
  const folder = doc.getMap('folder')
  assert.deepEqual([...folder.keys()].sort(), keys, label)
  for (const key of keys) {
    const sub = folder.get(key)
    const wanted = OPTIONS[key]
    assert.equal(sub.guid, wanted.guid, label)
    assert.equal(sub.autoLoad, wanted.autoLoad ?? false, `${label}: ${key}`)
    assert.equal(sub.gc, wanted.gc ?? true, `${label}: ${key}`)
    assert.equal(sub.shouldLoad, wanted.autoLoad ?? false, `${label}: ${key}`)
    assert.deepEqual(sub.meta ?? null, wanted.meta ?? null, `${label}: ${key}`)
  }
}

/** Edits a sub-document in the room named by its id, and leaves once the server has stored it. */
async function edit (t, server, sub, change) {
  const client = openClient(server, sub.guid, { t, doc: sub })
  const own = recordOwn(client)
  const received = tap(client)
  await client.waitSynced()
  change(sub)
  for (const update of own) await confirmed(received, update)
  client.provider.destroy()
}

test('O-34 sub-documents keep their ids, options and content', limit(90_000, 90_000), async t => {
  const server = await start({ t, args: ['--idle-unload', '200ms'], ...tellCompactions })
  const author = openClient(server, 'parent', { t })
  const own = recordOwn(author)
  const received = tap(author)
  await author.waitSynced()
  const folder = author.doc.getMap('folder')
  for (const [key, options] of Object.entries(OPTIONS)) folder.set(key, new Y.Doc(options))
  for (const key of Object.keys(OPTIONS)) await edit(t, server, folder.get(key), sub => sub.getText('text').insert(0, `content of ${key}`))

  // Enough further edits that the server's policy compacts the parent.
  await oneByOne(received, LONG_LOG, i => author.doc.getMap('other').set('counter', i))
  await confirmed(received, Y.mergeUpdates(own))

  const check = async (keys, label) => {
    const client = openClient(server, 'parent', { t })
    await client.waitSynced()
    assertParent(client.doc, keys, label)
    for (const key of keys) {
      const copy = await serverCopy(server, client.doc.getMap('folder').get(key).guid)
      assert.equal(copy.getText('text').toString(), `content of ${key}`, label)
    }
    client.destroy()
    compare(await serverDocument(server, 'parent'), documentOf(own), label)
  }
  const all = Object.keys(OPTIONS).sort()
  await check(all, 'a fresh client')
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    await server.restart(signal)
    await author.waitSynced(15_000)
    await check(all, `a fresh client after ${signal}`)
    await compacted(server, 'parent', 1)
  }

  folder.delete('lazy')
  await author.waitSynced()
  await confirmed(received, own.at(-1))
  const rest = all.filter(key => key !== 'lazy')
  await check(rest, 'after one was removed')
  author.destroy()
  await server.restart('SIGTERM')
  await check(rest, 'after one was removed and a restart')
  assert.equal((await serverCopy(server, OPTIONS.lazy.guid)).getText('text').toString(), 'content of lazy', 'its own room is not touched')
  assert.deepEqual(server.panics(), [])
})
