// O-39 Who is at another server is seen, and goes with that server.
//
// Fault: a crashed server left its users online for ever; a user on another server stayed invisible until they moved.
// Long form: Redis is cut for 60 s. Short form: 5 s.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClient, waitFor } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { connected, nodes } from '../lib/nodes.mjs'
import { limit, size } from './lib/size.mjs'

const CUT_MS = size(60_000, 5_000)
const SEEN_MS = 2_000
const GONE_MS = 45_000

const names = client => [...client.others().values()].map(state => state.name).sort()
const enter = async (t, server, name, options) => {
  const client = openClient(server, 'o-39', { t, ...options })
  await client.waitSynced()
  client.awareness.setLocalStateField('name', name)
  return client
}

describe('O-39 presence across servers', { concurrency: true }, () => {
  test('O-39 who was there before is seen, who dies with its server goes, who returns is there once', limit(120_000, 120_000), async t => {
    const { servers: [one, other] } = await nodes(t, 2)
    const a = await enter(t, one, 'A')
    const b = await enter(t, other, 'B')
    await waitFor(() => names(b).join() === 'A' && names(a).join() === 'B', SEEN_MS, 'A and B to see each other')
    const people = async server => (await (await fetch(`${server.url}/v1/docs/o-39/presence`)).json()).people.length
    await waitFor(async () => await people(other) === 2, SEEN_MS, 'the API to know both')
    await one.kill('SIGKILL')
    a.disconnect()
    await waitFor(() => names(b).length === 0, GONE_MS, 'A to be gone for B')
    const again = await enter(t, other, 'A', { clientId: a.clientId })
    await waitFor(() => names(b).join() === 'A' && names(again).join() === 'B', SEEN_MS, 'A to be back')
    await waitFor(async () => await people(other) === 2, SEEN_MS, 'the API to know both, once')
  })

  test('O-39 the list is right 15 s after Redis was cut', limit(200_000, 120_000), async t => {
    const { servers: [one, other], wire } = await nodes(t, 2)
    const [a, b, c] = [await enter(t, one, 'A'), await enter(t, other, 'B'), await enter(t, one, 'C')]
    await waitFor(() => names(b).join() === 'A,C', SEEN_MS, 'B to see A and C')
    wire.down()
    // One goes, one comes, one says something new of itself, and nobody hears it elsewhere.
    c.destroy()
    const d = await enter(t, one, 'D')
    b.awareness.setLocalStateField('name', 'B2')
    await new Promise(resolve => setTimeout(resolve, CUT_MS))
    wire.resume()
    await connected([one, other])
    await waitFor(() => names(b).join() === 'A,D' && names(a).join() === 'B2,D' && names(d).join() === 'A,B2',
      size(15_000, 35_000), () => `everybody to be seen: ${JSON.stringify([names(a), names(b), names(d)])}`)
  })

  test('O-39 a client that moves to another server is there once, and does not go when its old connection ends', limit(60_000, 60_000), async t => {
    const { servers: [one, other] } = await nodes(t, 2)
    const watcher = await enter(t, one, 'W')
    const wire = await cut(one, { t })
    const before = await enter(t, wire, 'A')
    await waitFor(() => names(watcher).join() === 'A', SEEN_MS, 'W to see A')
    // The old connection is dead, and its server does not know.
    wire.blackhole()
    const after = openClient(other, 'o-39', { t, clientId: before.clientId, connect: false })
    // The same client goes on counting.
    for (let renewals = 0; renewals < 9; renewals++) after.awareness.setLocalStateField('name', 'A2')
    after.connect()
    await after.waitSynced()
    await waitFor(() => names(watcher).join() === 'A2', 10_000, () => `W to see A at the other server: ${names(watcher)}`)
    wire.resume()
    before.disconnect()
    await new Promise(resolve => setTimeout(resolve, 3_000))
    assert.deepEqual(names(watcher), ['A2'])
  })
})
