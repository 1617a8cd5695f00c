// O-33 The server passes any root through and never fixes its type unasked.
//
// Fault: the server touched a root as text where the editor expected XML; the editor stayed blank.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { compare, documentOf, openClient, serverCopy } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { LONG_LOG, compacted, confirmed, httpContent, oneByOne, recordOwn, serverDocument, settle, tap, tellCompactions } from './lib/room.mjs'
import { limit } from './lib/size.mjs'

const EMOJI = '\u{1F984}'.repeat(256) // 1 KB
const DEPTH = 50
const BINARY = Uint8Array.from({ length: 1024 * 1024 }, (_, i) => (i * 31 + (i >> 8)) & 0xff)

function fill (doc) {
  doc.getText('').insert(0, 'the root without a name')
  doc.getText('default').insert(0, 'formatted', { bold: true })
  doc.getText('default').insertEmbed(3, { image: 'x.png' })
  doc.getMap('map').set('key', { deep: [1, -0, null, 'x'] })
  doc.getArray('array').push(['one', 2, [3], true, null])
  const paragraph = new Y.XmlElement('paragraph')
  doc.getXmlFragment('prosemirror').push([paragraph])
  paragraph.setAttribute('level', '1')
  paragraph.push([new Y.XmlText('in an editor'), new Y.XmlElement('hard_break')])
  doc.getMap(EMOJI).set(EMOJI, EMOJI)
  let inner = doc.getMap('nested')
  for (let depth = 0; depth < DEPTH; depth++) {
    const next = depth % 2 === 0 ? new Y.Array() : new Y.Map()
    depth % 2 === 0 ? inner.set('in', next) : inner.push([next])
    inner = next
  }
  inner.set('bottom', 'reached')
  doc.getMap('binary').set('bytes', BINARY)
}

function assertAll (doc, label) {
  assert.equal(doc.getText('').toString(), 'the root without a name', label)
  assert.deepEqual(doc.getText('default').toDelta(), [
    { insert: 'for', attributes: { bold: true } }, { insert: { image: 'x.png' } }, { insert: 'matted', attributes: { bold: true } }], label)
  assert.deepEqual(doc.getMap('map').toJSON(), { key: { deep: [1, -0, null, 'x'] } }, label)
  assert.deepEqual(doc.getArray('array').toJSON(), ['one', 2, [3], true, null], label)
  assert.equal(doc.getXmlFragment('prosemirror').toString(), '<paragraph level="1">in an editor<hard_break></hard_break></paragraph>', label)
  assert.equal(doc.getMap(EMOJI).get(EMOJI), EMOJI, label)
  let inner = doc.getMap('nested')
  for (let depth = 0; depth < DEPTH; depth++) inner = depth % 2 === 0 ? inner.get('in') : inner.get(0)
  assert.equal(inner.get('bottom'), 'reached', label)
  assert.ok(Buffer.from(BINARY).equals(doc.getMap('binary').get('bytes')), label)
}

test('O-33 any roots pass through, survive restart and compaction, and no wrong question harms them', limit(90_000, 90_000), async t => {
  const server = await start({ t, args: ['--idle-unload', '200ms'], ...tellCompactions })
  const author = openClient(server, 'roots', { t })
  const own = recordOwn(author)
  const received = tap(author)
  await author.waitSynced()
  fill(author.doc)
  // Enough further edits that the server's policy compacts the log.
  await oneByOne(received, LONG_LOG, i => author.doc.getMap('map').set('counter', i))
  author.doc.getMap('map').delete('counter')
  await settle(server, 'roots', [author], { deletes: true })
  await confirmed(received, Y.mergeUpdates(own))
  author.destroy()
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    await server.restart(signal)
    assertAll(await serverCopy(server, 'roots'), `a fresh client after ${signal}`)
    compare(await serverDocument(server, 'roots'), documentOf(own), `the server copy after ${signal}`)
    await compacted(server, 'roots', 1)
  }

  const before = await serverDocument(server, 'roots')
  for (const root of ['', 'default', 'map', 'array', 'prosemirror', EMOJI, 'nested', 'binary', 'never-seen']) {
    for (const format of ['text', 'xml', 'json']) {
      const { status, body } = await httpContent(server, 'roots', format, root)
      const told = `${format} of the root ${JSON.stringify(root.slice(0, 20))}: ${status} ${body.slice(0, 200)}`
      assert.ok(status === 200 || (status >= 400 && status < 500), told)
      if (status === 200 && format === 'json') JSON.parse(body)
    }
  }
  const all = await httpContent(server, 'roots', 'json')
  assert.equal(all.status, 200, all.body.slice(0, 300))
  const right = {
    text: { root: 'default', has: 'for' },
    xml: { root: 'prosemirror', has: 'in an editor' }
  }
  for (const [format, { root, has }] of Object.entries(right)) {
    const { status, body } = await httpContent(server, 'roots', format, root)
    assert.equal(status, 200, body.slice(0, 300))
    assert.ok(body.includes(has), `${format}: ${body.slice(0, 300)}`)
  }
  assert.equal((await httpContent(server, 'roots', 'text', '')).body, 'the root without a name')

  compare(await serverDocument(server, 'roots'), before, 'the document before and after it was asked for everything')
  assertAll(await serverCopy(server, 'roots'), 'a fresh client after the questions')
  await server.restart('SIGTERM')
  compare(await serverDocument(server, 'roots'), before, 'the document after the questions and a restart')
  assert.deepEqual(server.panics(), [])
})
