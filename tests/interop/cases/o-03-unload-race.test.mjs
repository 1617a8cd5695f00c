// O-03 A document is never unloaded under somebody who joins, nor before its last edit is stored.
//
// Fault: the last person left while a save ran; the next to open it got older text, or typed into a discarded copy.
// Long form: 10 documents, 100 rounds each (1,000). Short form: 10 documents, 6 rounds each. Store commits take 500 ms
// longer in both, and a document leaves memory 50 ms after its last session.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverCopy, waitFor } from '../lib/client.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { transportOf } from './lib/transports.mjs'
import { limit, size } from './lib/size.mjs'

const SAVE_MS = 500
const DOCUMENTS = 10
const ROUNDS = size(100, 6)

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
const numbers = doc => doc.getArray('numbers').toArray()

/** One document: A types, waits about a save, types, leaves; somebody joins at once and must find both numbers. */
async function rounds (t, server, name, random, typed) {
  let kept = null
  const type = client => {
    typed.push(typed.length)
    client.doc.getArray('numbers').push([typed.length - 1])
  }
  for (let round = 0; round < ROUNDS; round++) {
    const a = kept ?? transportOf(random.int(0, 1)).open(server, name, { t })
    if (kept) a.connect()
    await a.waitSynced(20_000)
    type(a)
    await pause(random.int(0, SAVE_MS * 1.5))
    type(a)
    a.disconnect()
    await pause(random.int(0, 200))
    const again = random.chance(0.5)
    const b = again ? a : transportOf(random.int(0, 1)).open(server, name, { t })
    if (again) a.connect()
    await b.waitSynced(20_000)
    await waitFor(() => typed.every(n => numbers(b.doc).includes(n)), 10_000,
      () => `${name}, round ${round}, ${again ? 'the author again' : 'a new client'}: ${typed.length} numbers typed, missing ${typed.filter(n => !numbers(b.doc).includes(n))}`)
    type(b)
    b.disconnect()
    kept = random.chance(0.3) ? b : null
    for (const client of new Set([a, b])) if (client !== kept) client.destroy()
  }
  kept?.destroy()
}

test('O-03 a document is never unloaded under a joiner or before its last edit is stored', limit(1_200_000, 120_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const server = await start({ t, faults: [`store-delay=${SAVE_MS}ms`], args: ['--idle-unload', '50ms'] })
  const typed = Array.from({ length: DOCUMENTS }, () => [])
  await Promise.all(typed.map((list, i) => rounds(t, server, `notes-${i}`, random.fork(i), list)))

  const assertAll = async when => {
    for (const [i, list] of typed.entries()) {
      // The last author has left just now; its frames may still be on their way into the server.
      await waitFor(async () => numbers(await serverCopy(server, `notes-${i}`)).length >= list.length, 10_000, `every number of notes-${i} ${when}`, 100)
      const held = numbers(await serverCopy(server, `notes-${i}`))
      assert.deepEqual(held.toSorted((x, y) => x - y), list, `notes-${i} ${when} (seed ${runSeed})`)
    }
  }
  await assertAll('at the end')
  await server.restart('SIGTERM')
  await assertAll('after a restart')
  assert.deepEqual(server.panics(), [])
})
