// O-18 For the same updates the server holds the XML that yjs holds.
//
// Fault: the Rust side kept an element that browsers had replaced.
// Long form: 10,000 tree operations, checked every 500. Short form: 1,500.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, compare, documentOf, documentUrl, serverCopy } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { httpContent, recordOwn, serverDocument, settle } from './lib/room.mjs'
import { transportOf } from './lib/transports.mjs'
import { limit, size } from './lib/size.mjs'
import { parseXml } from './lib/xml.mjs'

const ROOT = 'prosemirror'
const OPERATIONS = size(10_000, 1_500)
const CHECK_EVERY = 500

const fragment = doc => doc.getXmlFragment(ROOT)

async function assertExport (server, name, doc, label) {
  const { status, body } = await httpContent(server, name, 'xml', ROOT)
  assert.equal(status, 200, `${label}: ${body.slice(0, 300)}`)
  assert.deepEqual(parseXml(body), parseXml(fragment(doc).toString()), `${label}: the exported XML`)
}

test('O-18 an element that was replaced is gone on the server too', limit(60_000, 60_000), async t => {
  const server = await start({ t })
  const [a, b] = [new Y.Doc(), new Y.Doc()]
  const exchange = () => {
    const vector = Y.encodeStateVector(a)
    const whole = Y.encodeStateAsUpdate(a)
    Y.applyUpdate(b, whole)
    const difference = Y.encodeStateAsUpdate(b, vector)
    Y.applyUpdate(a, difference)
    sent.push(whole, difference)
  }
  const sent = []
  // Make a node; the other side sets an attribute; delete it.
  fragment(a).insert(0, [new Y.XmlElement('a')])
  exchange()
  fragment(b).get(0).setAttribute('href', 'x')
  fragment(a).delete(0, 1)
  exchange()
  // Build p>a, replace a with b, while the other writes into a.
  const p = new Y.XmlElement('p')
  p.insert(0, [new Y.XmlElement('a')])
  fragment(a).insert(0, [p])
  exchange()
  fragment(b).get(0).get(0).insert(0, [new Y.XmlText('late')])
  a.transact(() => { p.delete(0, 1); p.insert(0, [new Y.XmlElement('b')]) })
  exchange()
  assert.equal(fragment(a).toString(), '<p><b></b></p>')

  const raw = await RawClient.connect(documentUrl(server, 'replaced'), { t })
  await raw.send(frames.step2(sent[0]))
  for (const update of sent.slice(1)) await raw.update(update)
  await raw.fence()
  const copy = await serverCopy(server, 'replaced')
  assert.equal(fragment(copy).toString(), '<p><b></b></p>')
  compare(await serverDocument(server, 'replaced'), documentOf(sent))
  await assertExport(server, 'replaced', a, 'replaced')
})

const NAMES = ['p', 'a', 'b', 'ul', 'li', 'heading']
const WORDS = ['word', 'two words', '\u6f22\u5b57', '\u{1F600}']

/** All elements of a tree, the fragment first. */
function elements (node, list = [node]) {
  for (const child of node.toArray()) if (child instanceof Y.XmlElement) { list.push(child); elements(child, list) }
  return list
}

function operation (random, doc) {
  const node = random.pick(elements(fragment(doc)))
  const at = random.int(0, node.length)
  const element = () => {
    const made = new Y.XmlElement(random.pick(NAMES))
    if (random.chance(0.5)) made.insert(0, [random.chance(0.5) ? new Y.XmlElement(random.pick(NAMES)) : new Y.XmlText(random.pick(WORDS))])
    return made
  }
  const erase = () => {
    const from = random.int(0, node.length - 1)
    node.delete(from, Math.min(random.int(1, 2), node.length - from))
    return from
  }
  switch (random.int(0, fragment(doc).toString().length > 5_000 ? 7 : 11)) {
    case 0: case 1: if (node.length > 0) erase(); break
    case 2: case 3: case 4: if (node.length > 0) doc.transact(() => { node.insert(erase(), [element()]) }); break
    case 5: if (node !== fragment(doc)) node.setAttribute(random.pick(['class', 'id', 'level']), String(random.int(0, 99))); break
    case 6: if (node !== fragment(doc)) node.removeAttribute(random.pick(['class', 'id', 'level'])); break
    case 7: {
      const text = node.toArray().find(child => child instanceof Y.XmlText)
      if (!text) break
      const from = random.int(0, text.length)
      random.chance(0.5) ? text.insert(from, random.pick(WORDS)) : text.delete(from, Math.min(3, text.length - from))
      break
    }
    case 8: node.insert(at, [new Y.XmlText(random.pick(WORDS))]); break
    default: node.insert(at, [element()])
  }
}

test('O-18 the server holds the XML of random tree edits as yjs does', limit(900_000, 90_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const server = await start({ t })
  const clients = [0, 1].map(i => transportOf(i).open(server, 'tree', { t }))
  const log = []
  for (const client of clients) recordOwn(client, log)
  await Promise.all(clients.map(client => client.waitSynced()))
  for (let done = 0; done < OPERATIONS;) {
    for (let n = 0; n < CHECK_EVERY; n++, done++) {
      const client = random.pick(clients)
      if (random.chance(0.02)) client.provider.shouldConnect ? client.disconnect() : client.connect()
      operation(random, client.doc)
      await new Promise(resolve => setImmediate(resolve))
    }
    for (const client of clients) client.connect()
    await Promise.all(clients.map(client => client.waitSynced()))
    const label = `after ${done} operations (seed ${runSeed})`
    const copy = await settle(server, 'tree', clients, { deletes: true })
    for (const client of clients) assert.equal(fragment(client.doc).toString(), fragment(copy).toString(), label)
    compare(await serverDocument(server, 'tree'), documentOf(log), `the server copy and a plain document ${label}`)
    await assertExport(server, 'tree', copy, label)
  }
  for (const client of clients) client.destroy()
  await server.restart('SIGTERM')
  compare(await serverDocument(server, 'tree'), documentOf(log), `after a restart (seed ${runSeed})`)
  await assertExport(server, 'tree', documentOf(log), `after a restart (seed ${runSeed})`)
  assert.deepEqual(server.panics(), [])
})
