// A real editing session of 259,778 keystrokes, pushed by a real client; after a hard end a fresh client gets the right text.
//
// The trace is taken from QUIRE_B4, or found in shared/data beside the repository; otherwise one is made up from a fixed seed.
// Alone: nothing, but prints times.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as decoding from 'lib0/decoding'
import * as Y from 'yjs'
import { openClient, waitFor } from './lib/client.mjs'
import { Random } from './lib/seed.mjs'
import { repoRoot, start } from './lib/server.mjs'

const UPDATES = 13_000
const NAME = 'b4-editing-trace.bin'

/** The operations: {at, insert} or {at, remove}, and where they come from. */
function trace () {
  const path = [process.env.QUIRE_B4, ...['..', '../..', '../../..'].map(up => join(repoRoot, up, 'shared/data', NAME))].find(p => p && existsSync(p))
  return path ? { source: 'the B4 trace', operations: recorded(path) } : { source: 'a made-up trace (seed 4): set QUIRE_B4 for the real one', operations: madeUp() }
}

function recorded (path) {
  const decoder = decoding.createDecoder(readFileSync(path))
  const operations = []
  for (let count = decoding.readVarUint(decoder); count > 0; count--) {
    const kind = decoding.readVarUint(decoder)
    const at = decoding.readVarUint(decoder)
    if (kind === 1) operations.push({ at, insert: decoding.readVarString(decoder) })
    else operations.push({ at, remove: decoding.readVarUint(decoder) })
  }
  return operations
}

/** Like a person at work: runs of typing, some deleting, jumps now and then. */
function madeUp () {
  const random = new Random(4)
  const operations = []
  let length = 0
  let at = 0
  while (operations.length < 259_778) {
    if (random.chance(0.02)) at = random.int(0, length)
    if (length > 0 && at > 0 && random.chance(0.25)) {
      operations.push({ at: --at, remove: 1 })
      length--
    } else {
      operations.push({ at: at++, insert: random.pick('etaoin shrdlu,.\n') })
      length++
    }
  }
  return operations
}

/** The text the operations make, without any CRDT. */
function textOf (operations) {
  const units = new Uint16Array(operations.reduce((sum, { insert = '' }) => sum + insert.length, 0))
  let length = 0
  for (const { at, insert, remove } of operations) {
    if (insert !== undefined) {
      units.copyWithin(at + insert.length, at, length)
      for (let i = 0; i < insert.length; i++) units[at + i] = insert.charCodeAt(i)
      length += insert.length
    } else {
      units.copyWithin(at, at + remove, length)
      length -= remove
    }
  }
  return Buffer.from(units.buffer, 0, length * 2).toString('utf16le')
}

const mb = bytes => `${(bytes / 2 ** 20).toFixed(1)} MiB`

test('a long session survives a hard end, and a fresh client has its text', { timeout: 180_000 }, async t => {
  const { source, operations } = trace()
  const expected = textOf(operations)
  t.diagnostic(`${source}: ${operations.length} operations, ${expected.length} characters at the end`)
  const store = process.env.QUIRE_STORE ?? 'redb'
  const server = await start({ t, store })
  const author = openClient(server, 'paper', { t })
  await author.waitSynced()
  const text = author.text()
  const begun = performance.now()
  const each = Math.ceil(operations.length / UPDATES)
  let updates = 0
  for (let from = 0; from < operations.length; from += each) {
    author.doc.transact(() => {
      for (const { at, insert, remove } of operations.slice(from, from + each)) insert !== undefined ? text.insert(at, insert) : text.delete(at, remove)
    })
    // The socket must get its turn; what it cannot send yet waits in it.
    if (++updates % 50 === 0) await waitFor(() => author.provider.ws?.bufferedAmount < 2 ** 20, 60_000, 'the socket to drain')
  }
  author.text('end').insert(0, '.')
  await author.waitConfirmed(120_000)
  const pushed = performance.now() - begun
  assert.equal(text.toString(), expected, 'the author holds the text')
  const busy = server.memory()
  author.destroy()
  await server.restart('SIGKILL')

  const opened = performance.now()
  const reader = openClient(server, 'paper', { t })
  await reader.waitSynced(60_000)
  const synced = performance.now() - opened
  assert.equal(reader.text().toString(), expected)
  assert.equal(Y.encodeStateAsUpdate(reader.doc).length > 0, true)
  const disk = await server.diskSize()
  t.diagnostic(`store ${store}: ${updates} updates pushed and confirmed in ${(pushed / 1000).toFixed(1)} s; server memory then ${mb(busy.rss)} (peak ${mb(busy.peak)})`)
  t.diagnostic(`after a restart: first sync ${synced.toFixed(0)} ms, server memory ${mb(server.memory().rss)}, data folder ${mb(disk.allocated)} (${mb(disk.apparent)} apparent)`)
})
