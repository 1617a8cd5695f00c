// O-04 A declared length never reserves more than the bytes present can back; a bad frame closes one connection only.
//
// Fault: two dozen bytes from a faulty client aborted the whole process, and every room went down.
// Long form: 1,000,000 mutated frames. Short form: 20,000. The server runs with 512 MB of memory of its own at most.
// Alone: what the bystander waits.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RawClient, documentUrl, openClient, serverCopy } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { assertCalm, bystander } from './lib/bystander.mjs'
import { good, impossible, mutate, odd } from './lib/hostile.mjs'
import { MB, watchMemory } from './lib/memory.mjs'
import { Lane, poke } from './lib/poke.mjs'
import { limit, size } from './lib/size.mjs'

const MUTANTS = size(1_000_000, 20_000)
const LANES = 4
const PER_ROOM = 250

// RLIMIT_DATA counts every private writable page the process asks for, touched or not.
const limited = t => start({ t, wrap: ['prlimit', `--data=${512 * MB}`], args: ['--idle-unload', '1s'] })

async function warm (server) {
  for (let i = 0; i < 20; i++) assert.equal(await poke(server, `warm-${i % 4}`, good(), { synced: true }), 'open')
}

test('O-04 frames that claim more than they hold close their own connection with 1002 and nothing else', limit(180_000, 60_000), async t => {
  const server = await limited(t)
  const pid = server.pid
  const inside = openClient(server, 'attacked', { t })
  await inside.waitSynced()
  inside.text().insert(0, 'unharmed')
  await warm(server)
  const memory = watchMemory(server)
  const beside = await bystander(server, 'elsewhere', { t })

  const wrong = []
  for (const [name, frame] of impossible()) {
    const result = await poke(server, 'attacked', [frame], { synced: true })
    if (result !== 1002) wrong.push(`${name}: ${result} (frame ${frames.hex(frame.slice(0, 60))})`)
    assert.equal(server.pid, pid, `the process ended after: ${name} (frame ${frames.hex(frame.slice(0, 60))})`)
  }
  for (const [name, frame] of odd()) {
    const result = await poke(server, 'odd', [frame], { synced: true })
    if (result !== 1002 && result !== 'open') wrong.push(`${name}: ${result} (frame ${frames.hex(frame.slice(0, 60))})`)
    assert.equal(server.pid, pid, `the process ended after: ${name} (frame ${frames.hex(frame.slice(0, 60))})`)
  }
  assert.deepEqual(wrong, [])
  t.diagnostic(assertCalm(await beside.stop(), 200))
  t.diagnostic(memory.assertRise(50 * MB))
  assert.equal(inside.connections, 1, 'a client in the attacked room keeps its connection')
  assert.equal((await serverCopy(server, 'attacked')).getText('text').toString(), 'unharmed')
  assert.deepEqual(server.panics(), [])
})

const roomOf = (lane, n) => `mutants-${lane}-${Math.floor(n / PER_ROOM)}`

/** What was taken of the mutants must not stop the server from writing the document out, in frames that can be read. */
async function readRoom (server, room) {
  const raw = await RawClient.connect(documentUrl(server, room))
  await raw.read()
  assert.deepEqual(raw.bad, [], `frames of ${room}`)
  raw.drop()
}

test('O-04 mutated frames end no process and cost nobody else', limit(7_200_000, 180_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const server = await limited(t)
  const pid = server.pid
  await warm(server)
  const memory = watchMemory(server)
  const beside = await bystander(server, 'elsewhere', { t })
  const pool = good()
  let sent = 0
  const lanes = Array.from({ length: LANES }, (_, i) => i).map(async i => {
    const random = new Random(runSeed).fork(i)
    const lane = new Lane(server)
    for (let n = 0; sent < MUTANTS; n++) {
      sent++
      const frame = mutate(random, pool)
      if (n > 0 && n % PER_ROOM === 0) await readRoom(server, roomOf(i, n - 1))
      await lane.send(frame, roomOf(i, n)).catch(error => {
        throw new Error(`lane ${i}, frame ${n} of seed ${runSeed}: ${frames.hex(frame)}`, { cause: error })
      })
      if (server.pid !== pid) assert.fail(`the process ended; lane ${i}, frame ${n} of seed ${runSeed}: ${frames.hex(frame)}`)
    }
    lane.close()
    return lane
  })
  const done = await Promise.all(lanes)
  const codes = new Map()
  for (const lane of done) for (const [code, count] of lane.closes) codes.set(code, (codes.get(code) ?? 0) + count)
  t.diagnostic(`${sent} frames, closes ${JSON.stringify([...codes])}`)
  t.diagnostic(assertCalm(await beside.stop(), 200))
  t.diagnostic(memory.assertRise(50 * MB))
  assert.equal(server.pid, pid)
  await server.restart('SIGTERM')
  for (let i = 0; i < LANES; i++) for (let n = 0; n < MUTANTS / LANES && n < 20 * PER_ROOM; n += PER_ROOM) await readRoom(server, roomOf(i, n))
  assert.deepEqual([...codes.keys()].filter(code => code !== 1002), [], 'a malformed frame is closed with 1002')
  assert.ok(codes.get(1002) > sent / 20, 'the mutations bite')
  assert.deepEqual(server.panics(), [])
})
