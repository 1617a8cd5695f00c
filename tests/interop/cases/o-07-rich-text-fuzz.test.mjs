// O-07 Nothing a stock client makes may crash the server or poison a document.
//
// Fault: ordinary rich-text edits from browsers made the server side panic on apply or on encode; nobody could open that
// document again.
// Long form: 20,000 operations by 4 clients, checked every 500. Short form: 2,000, checked every 500. The server is
// restarted at every other check, so that it also loads what it has stored.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { compare, documentOf, openClient, waitFor } from '../lib/client.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { recordOwn, serverDocument, settle } from './lib/room.mjs'
import { transportOf } from './lib/transports.mjs'
import { limit, size } from './lib/size.mjs'

const OPERATIONS = size(20_000, 2_000)
const CHECK_EVERY = 500
const WORDS = ['a', 'quire', ' of leaves', '\n', '\u00e4\u00df', '\u{1F984}', '\u{1F468}\u200D\u{1F469}\u200D\u{1F467}', 'e\u0301']

/**
 * A position moved back to the start of its code point, as editors do. (yjs makes two U+FFFD of an emoji split in two, also
 * where the split itself is never sent; how servers take splits is another case.) Embeds count as one unit.
 */
function whole (text, index) {
  const units = text.toDelta().map(({ insert }) => typeof insert === 'string' ? insert : '.').join('')
  return /[\udc00-\udfff]/.test(units.charAt(index)) ? index - 1 : index
}

function operation (random, client, undo) {
  const text = client.text()
  const at = whole(text, random.int(0, text.length))
  const length = whole(text, Math.min(text.length, at + random.int(1, text.length > 2_000 ? 200 : 12))) - at
  switch (random.int(0, text.length > 2_000 ? 9 : 12)) {
    case 0: text.format(at, length, { bold: true }); break
    case 1: text.format(at, length, { bold: null }); break
    case 2: text.format(at, length, { italic: true }); break
    case 3: text.format(at, length, { italic: null }); break
    case 4: text.format(at, length, { bold: true, italic: null, color: random.pick(['red', 'blue', null]) }); break
    case 5: text.delete(at, length); break
    case 6: text.delete(at, length); break
    case 7: undo.undo(); break
    case 8: undo.redo(); break
    case 9: text.insertEmbed(at, { image: `${random.int(0, 99)}.png` }, random.chance(0.3) ? { bold: true } : undefined); break
    case 10: text.insert(at, random.pick(WORDS), { bold: true }); break
    case 11: text.insert(at, random.pick(WORDS), random.chance(0.3) ? { italic: true } : {}); break
    case 12: text.insert(at, random.pick(WORDS)); break
  }
}

const tick = () => new Promise(resolve => setImmediate(resolve))

test('O-07 rich-text edits of stock clients neither crash the server nor poison the document', limit(1_800_000, 150_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const server = await start({ t })
  const clients = Array.from({ length: 4 }, (_, i) => transportOf(i).open(server, 'fuzz', { t, clientId: 1_000 + i }))
  const log = []
  for (const client of clients) recordOwn(client, log)
  const undos = clients.map(client => new Y.UndoManager(client.text(), { captureTimeout: 0 }))
  await Promise.all(clients.map(client => client.waitSynced()))
  let expectedCloses = 0
  let restarts = 0

  for (let done = 0; done < OPERATIONS;) {
    for (let n = 0; n < CHECK_EVERY; n++, done++) {
      const i = random.int(0, clients.length - 1)
      if (random.chance(0.01)) {
        if (clients[i].provider.shouldConnect) { clients[i].disconnect(); expectedCloses++ } else clients[i].connect()
      }
      operation(random, clients[i], undos[i])
      await tick()
    }
    for (const client of clients) client.connect()
    await Promise.all(clients.map(client => client.waitSynced(15_000)))
    const label = `after ${done} operations (seed ${runSeed})`

    const fresh = openClient(server, 'fuzz', { t })
    recordOwn(fresh, log)
    await fresh.waitSynced()
    await settle(server, 'fuzz', [...clients, fresh])
    fresh.destroy()
    compare(await serverDocument(server, 'fuzz'), documentOf(log), `the server copy and a plain document of the same updates ${label}`)

    if (done % (2 * CHECK_EVERY) === 0) {
      const before = clients.map(client => client.connections)
      if (restarts % 2 === 1) {
        await server.restart('SIGKILL')
      } else {
        // Without the authors, who would fill in what a load has lost.
        for (const client of clients) { client.disconnect(); expectedCloses++ }
        await server.restart('SIGTERM')
        compare(await serverDocument(server, 'fuzz'), documentOf(log), `what the server has stored ${label}`)
        for (const client of clients) client.connect()
      }
      restarts++
      await waitFor(() => clients.every((client, i) => client.connections > before[i] && client.synced), 15_000, 'the clients to come back')
      await settle(server, 'fuzz', clients)
      compare(await serverDocument(server, 'fuzz'), documentOf(log), `the server copy and a plain document ${label} and a restart`)
    }
  }

  const dirty = clients.flatMap(client => client.closes).filter(close => close !== null && ![1001, 1006, 1012].includes(close.code))
  assert.deepEqual(dirty, [], 'the server closed no connection over what it was sent')
  const closes = clients.flatMap(client => client.closes).length
  assert.ok(closes <= expectedCloses + clients.length * restarts * 8, `${closes} closes`)
  assert.deepEqual(server.panics(), [])
})
