// O-23 A slow reader costs bounded memory, makes nobody wait, and catches up by itself.
//
// Fault: a slow phone was cut off again and again, or silently missed edits, or held a lock so the whole server froze.
// Long form: the reader takes 2 KB/s for 30 s, then nothing for 60 s, while its room mates produce 30 MB. Short form: 5 s,
// 8 s, 16 MB (more than the kernels' buffers between the two hold). The second test is the same in both: what a reader
// misses must not pile up for it, measured against the same work with a reader that keeps up.
// Alone: what bystanders wait.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, compare, differences, documentUrl, openClient, waitFor } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { queryAwareness } from '../lib/frames.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { assertCalm, bystander } from './lib/bystander.mjs'
import { MB, watchMemory } from './lib/memory.mjs'
import { serverDocument } from './lib/room.mjs'
import { limit, size } from './lib/size.mjs'

const TRICKLE_MS = size(30_000, 5_000)
const STALL_MS = size(60_000, 8_000)
const PRODUCED = size(30, 16) * MB
const CHUNK = 8_000
const KEPT = 500
const MATES = 3
const MISSED = 48 * MB
const MISSED_CHUNK = 32_000

test('O-23 a slow reader costs bounded memory, makes nobody wait, and catches up by itself', limit(300_000, 120_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const server = await start({ t })
  const cutter = await cut(server, { t })
  const slow = openClient(cutter, 'busy', { t })
  const mates = Array.from({ length: MATES }, () => openClient(server, 'busy', { t }))
  await Promise.all([slow, ...mates].map(client => client.waitSynced()))
  mates[0].text().insert(0, 'start')
  await slow.waitEqual(mates[0])
  const inRoom = await bystander(server, 'busy', { t, key: 'mate' })
  const elsewhere = await bystander(server, 'elsewhere', { t })
  const memory = watchMemory(server)

  // Mostly values that replace each other, as of a drawing, and some text that stays.
  const steps = Math.ceil(PRODUCED / (CHUNK + KEPT))
  const pause = (TRICKLE_MS + STALL_MS) / steps
  const from = performance.now()
  const late = []
  cutter.throttle(2_000, 'down')
  for (let step = 0; step < steps; step++) {
    const mate = random.pick(mates)
    mate.doc.transact(() => {
      mate.doc.getMap('shapes').set(`shape-${random.int(0, 9)}`, String.fromCharCode(97 + random.int(0, 25)).repeat(CHUNK))
      mate.text().insert(random.int(0, mate.text().length), 'y'.repeat(KEPT))
    })
    if (performance.now() - from > TRICKLE_MS) cutter.stall('down')
    if (step % Math.ceil(steps / 10) === 0) {
      const asked = performance.now()
      const visitor = await RawClient.connect(documentUrl(server, 'busy'), { deadline: 5_000 })
      late.push(performance.now() - asked)
      visitor.drop()
    }
    const ahead = from + step * pause - performance.now()
    await new Promise(resolve => ahead > 1 ? setTimeout(resolve, ahead) : setImmediate(resolve))
  }
  const rest = TRICKLE_MS + STALL_MS - (performance.now() - from)
  if (rest > 0) await new Promise(resolve => setTimeout(resolve, rest))

  t.diagnostic(assertCalm(await inRoom.stop(), 300, 'a room mate'))
  t.diagnostic(assertCalm(await elsewhere.stop(), 300))
  assert.ok(Math.max(...late) < 2_000, `new connections took ${late.map(Math.round)} ms`)
  t.diagnostic(memory.assertRise(64 * MB))
  t.diagnostic(`the slow reader has ${slow.text().length} of ${mates[0].text().length} characters when it may read again`)
  assert.ok(slow.text().length < mates[0].text().length, 'the reader was held back')

  const before = slow.connections
  cutter.resume()
  await waitFor(() => slow.synced && slow.text().length === mates[0].text().length, 20_000,
    () => `the slow reader to catch up: ${slow.text().length} of ${mates[0].text().length} characters, ${slow.connections} connections, ${slow.events.slice(-6)}`)
  await slow.waitEqual(mates[0], 20_000)
  t.diagnostic(`${slow.connections} connections of the slow reader, ${before} of them before it could read again`)
  assert.ok(slow.connections <= 3, `${slow.connections - 1} reconnects of the slow reader`)
  for (const mate of mates) {
    assert.equal(mate.connections, 1, 'room mates keep their connections')
    compare(mate.doc, slow.doc, 'a room mate and the slow reader')
  }
  compare(await serverDocument(server, 'busy'), slow.doc, 'the server copy and the slow reader')
  t.diagnostic(memory.assertRise(64 * MB))
  assert.deepEqual(server.panics(), [])
})

/**
 * Room mates replace values for some seconds, while one reader keeps up or takes nothing. How far the memory has risen, in MB, when
 * everything is stored and the allocator has had time to give back what is free; sooner if it is below `enough`.
 */
async function riseWith (t, random, { stalled, enough }) {
  const server = await start({ t })
  const cutter = await cut(server, { t })
  const author = openClient(server, 'busy', { t })
  await author.waitSynced()
  author.text().insert(0, 'start')
  await author.waitConfirmed()
  // By hand: a stock client connects anew when it has heard nothing for 30 s, and a busy machine may take that long.
  const reader = await RawClient.connect(documentUrl(cutter, 'busy'), { t })
  await reader.read()
  const alive = setInterval(() => { reader.send(queryAwareness()).catch(() => {}) }, 5_000)
  t.after(() => clearInterval(alive))
  const before = server.memory().rss
  if (stalled) cutter.stall('down')
  for (let sent = 0; sent < MISSED; sent += MISSED_CHUNK) {
    author.doc.getMap('shapes').set(`shape-${random.int(0, 9)}`, String.fromCharCode(97 + random.int(0, 25)).repeat(MISSED_CHUNK))
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  // Until then edits wait for the disk, in memory.
  await author.waitConfirmed(30_000)
  let rise = Infinity
  const end = performance.now() + (stalled ? 30_000 : 3_000)
  while (rise >= enough && performance.now() < end) {
    await new Promise(resolve => setTimeout(resolve, 100))
    rise = Math.min(rise, (server.memory().rss - before) / MB)
  }
  cutter.resume()
  const doc = new Y.Doc()
  const taken = () => {
    for (const { kind, payload } of reader.messages.splice(0)) if (kind === 'update' || kind === 'step2') Y.applyUpdate(doc, payload)
    return doc
  }
  await waitFor(() => differences(taken(), author.doc).length === 0, 20_000, () => `the reader to catch up; ${reader.describe()}`, 200)
  assert.equal(reader.closed, null)
  clearInterval(alive)
  await server.dispose()
  return rise
}

test('O-23 what a slow reader misses does not pile up for it', limit(120_000, 120_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const keepingUp = await riseWith(t, random.fork(1), { stalled: false, enough: 0 })
  const enough = keepingUp + MISSED / MB / 3
  const stalled = await riseWith(t, random.fork(1), { stalled: true, enough })
  const told = `memory rose by ${keepingUp.toFixed(1)} MB with a reader that keeps up, by ${stalled.toFixed(1)} MB with one that takes nothing of ${MISSED / MB} MB`
  t.diagnostic(told)
  assert.ok(stalled < enough, told)
})
