// O-14 After Redis was away, everything is heard again, without anybody's help.
//
// Fault: a Redis blip quietly ended the subscription; health stayed green and cross-server edits stopped until a restart.
// Long form: Redis is down for 2 and 30 s, and swallows everything for 90 s. Short form: 1 and 3 s, and 8 s.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClient, waitFor } from '../lib/client.mjs'
import { connected, degraded, nodes } from '../lib/nodes.mjs'
import { start } from '../lib/server.mjs'
import { limit, size } from './lib/size.mjs'

const DOWN_MS = size([2_000, 30_000], [1_000, 3_000])
const SWALLOWED_MS = size(90_000, 8_000)
const CROSSES_MS = 5_000

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

async function pair (t, servers, name) {
  const clients = servers.map(server => openClient(server, name, { t }))
  await Promise.all(clients.map(client => client.waitSynced()))
  return clients
}

/** Both type while something is done to Redis, and once more afterwards. */
async function through ([one, other], what, trouble) {
  one.text().insert(0, `[${what}]`)
  await other.waitEqual(one)
  const over = trouble()
  one.text().insert(0, 'during-one ')
  other.text().insert(0, 'during-other ')
  await over
  one.text().insert(0, 'after ')
  await waitFor(() => other.text().toString().includes('after '), CROSSES_MS, `${what}: an edit to cross`)
  await other.waitEqual(one, CROSSES_MS)
  for (const word of ['during-one', 'during-other']) assert.ok(one.text().toString().includes(word))
}

describe('O-14 Redis comes back', { concurrency: true }, () => {
  test('O-14 after restarts of Redis and the end of its subscriptions', limit(120_000, 60_000), async t => {
    const { servers, relay } = await nodes(t, 2)
    const clients = await pair(t, servers, 'o-14')
    for (const ms of DOWN_MS) {
      await through(clients, `down for ${ms} ms`, async () => {
        await relay.stop()
        await waitFor(async () => (await degraded(servers[0])).includes('relay_apart'), 10_000, 'readiness to say so')
        await pause(ms)
        await relay.start()
        await connected(servers)
      })
    }
    await through(clients, 'subscriptions killed', async () => {
      assert.ok(await relay.killSubscribers() > 0)
    })
  })

  test('O-14 after Redis has swallowed everything without a reset', limit(200_000, 60_000), async t => {
    const { servers, wire } = await nodes(t, 2)
    const clients = await pair(t, servers, 'o-14')
    await through(clients, 'swallowed', async () => {
      wire.blackhole()
      await waitFor(async () => (await degraded(servers[0])).includes('relay_apart'), 10_000, 'readiness to say so')
      // Meanwhile edits cross by way of the store.
      clients[0].text().insert(0, 'meanwhile ')
      await waitFor(() => clients[1].text().toString().includes('meanwhile '), CROSSES_MS, 'an edit to cross without Redis')
      await pause(SWALLOWED_MS)
      wire.resume()
      await connected(servers)
    })
  })

  test('O-14 servers start without Redis, serve alone, and meet when it comes', limit(60_000, 60_000), async t => {
    const { database, relay, wire, launch } = await nodes(t, 1)
    await relay.stop()
    const late = [await launch(), await launch()]
    assert.deepEqual(await degraded(late[0]), ['relay_apart'])
    assert.equal((await fetch(`${late[0].url}/readyz`)).status, 200)
    const [alone] = await pair(t, [late[0]], 'alone')
    alone.text().insert(0, 'x')
    await alone.waitConfirmed()
    await relay.start()
    await connected(late)
    const clients = await pair(t, late, 'met')
    clients[0].text().insert(0, 'hello')
    await clients[1].waitEqual(clients[0], CROSSES_MS)
    assert.ok(wire.accepted > 0 && database.port > 0)
  })

  test('O-14 what cannot work together is refused at the start, with the reason', limit(60_000, 60_000), async t => {
    const { servers: [first] } = await nodes(t, 1)
    await assert.rejects(start({ t, args: ['--redis', 'redis://127.0.0.1:1'] }), /must have one store/)
    // Without Redis a server would not hear of the others.
    await assert.rejects(start({ t, store: first.store }), /another server uses this database|uses the database/i)
  })
})
