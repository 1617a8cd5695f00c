// O-19 Positions count in UTF-16 units, as in JavaScript, on the wire and in what the server exports.
//
// Fault: deleting an emoji panicked the engine, or server-side insertions landed a few characters off.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, documentOf, waitFor } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { httpContent, recordOwn, serverDocument, settle } from './lib/room.mjs'
import { transports } from './lib/transports.mjs'
import { limit } from './lib/size.mjs'

const PIECES = {
  ascii: 'plain',
  family: '\u{1F468}\u200D\u{1F469}\u200D\u{1F467}\u200D\u{1F466}',
  maths: '\u{1D4D0}',
  accents: 'e\u0301o\u0308\u0323',
  chinese: '\u6f22\u5b57',
  flag: '\u{1F1EE}\u{1F1F9}',
  hebrew: '\u05e9\u05b8\u05dc'
}
const WHOLE = Object.values(PIECES).join('|')

async function assertEverywhere (server, name, clients, log, label) {
  const copy = await settle(server, name, clients, { quiet: 300 })
  compare(await serverDocument(server, name), documentOf(log), label)
  const text = copy.getText('text').toString()
  const { status, body } = await httpContent(server, name, 'text', 'text')
  assert.equal(status, 200, body.slice(0, 300))
  assert.equal(body, text.toWellFormed(), `${label}: the exported text`)
}

/** Where a piece stands in a text: its first UTF-16 unit. */
const find = (client, piece) => {
  const at = client.text().toString().indexOf(piece)
  assert.ok(at >= 0, `${JSON.stringify(piece)} in ${JSON.stringify(client.text().toString())}`)
  return at
}

test('O-19 whole code points deleted, inserted around and formatted', limit(60_000, 60_000), async t => {
  const server = await start({ t })
  const clients = transports.map(transport => transport.open(server, 'points', { t }))
  const log = []
  for (const client of clients) recordOwn(client, log)
  await Promise.all(clients.map(client => client.waitSynced()))
  clients[0].text().insert(0, WHOLE)
  await assertEverywhere(server, 'points', clients, log, 'at first')

  let turn = 0
  for (const [name, piece] of Object.entries(PIECES)) {
    const client = clients[turn++ % clients.length]
    const [first] = [...piece]
    const rest = piece.slice(first.length)
    client.text().delete(find(client, piece), first.length)
    if (rest) {
      const at = find(client, rest)
      client.text().insert(at + rest.length, `>${name}`)
      client.text().insert(at, `${name}<`)
    }
    await Promise.all(clients.slice(1).map(other => other.waitEqual(clients[0])))
  }
  await assertEverywhere(server, 'points', clients, log, 'after the deletions')
  const family = PIECES.family.slice(2)
  clients[0].text().format(find(clients[0], family), 3, { bold: true })
  clients[1].text().insertEmbed(find(clients[1], '\u{1F1F9}'), { image: 'flag.png' })
  await assertEverywhere(server, 'points', clients, log, 'after formatting one emoji')
  await server.restart('SIGTERM')
  await Promise.all(clients.map(client => waitFor(() => client.connections >= 2 && client.synced, 15_000, 'the clients to come back')))
  await assertEverywhere(server, 'points', clients, log, 'after a restart')
  assert.deepEqual(server.panics(), [])
})

test('O-19 edits that split an emoji in two, on both sides at once', limit(60_000, 60_000), async t => {
  const server = await start({ t })
  const clients = transports.map(transport => transport.open(server, 'halves', { t }))
  const log = []
  for (const client of clients) recordOwn(client, log)
  await Promise.all(clients.map(client => client.waitSynced()))
  clients[0].text().insert(0, WHOLE)
  await settle(server, 'halves', clients, { quiet: 300 })

  for (const client of clients) client.disconnect()
  for (const [i, client] of clients.entries()) {
    client.text().insert(find(client, PIECES.maths) + 1, `between ${i}`)
    client.text().delete(find(client, PIECES.flag) + i, 1)
    client.text().format(find(client, '\u{1F469}') + 1, 3, { bold: i === 0, italic: i === 1 })
  }
  for (const client of clients) client.connect()
  await Promise.all(clients.map(client => client.waitSynced()))
  await assertEverywhere(server, 'halves', clients, log, 'after splitting')
  for (const client of clients) client.destroy()
  await server.restart('SIGTERM')
  compare(await serverDocument(server, 'halves'), documentOf(log), 'after a restart')
  assert.deepEqual(server.panics(), [])
})
