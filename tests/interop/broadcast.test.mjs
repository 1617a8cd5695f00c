// Broadcasts: to everybody in a document who can hear them, from whoever may write, not stored, and not too many.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SECRET, admin, guarded, metrics, pass } from './cases/lib/access.mjs'
import { openClient, waitFor } from './lib/client.mjs'
import { openHocuspocus } from './lib/hocuspocus.mjs'
import { listen } from './lib/listen.mjs'
import { nodes } from './lib/nodes.mjs'
import { openQuire } from './lib/quire.mjs'

test('a broadcast reaches everybody else, whatever carries it, and nobody who comes later', async t => {
  const server = await guarded(t)
  const token = (sub, access = 'write') => pass(sub, access)
  const clients = ['websocket', 'sse', 'poll'].map((transport, i) => openQuire(server, 'a', { t, token: token(`q${i}`), transports: [transport] }))
  const [hocuspocus, viewer] = ['write', 'read'].map(access => openHocuspocus(server, 'a', { t, token: token('h', access) }))
  const stock = openClient(server, 'a', { t, params: { token: token('s') } })
  const listeners = ['sse', 'poll'].map(way => listen(server, '/v1/docs/a/events', { t, token: token('l', 'read'), way }))
  const heard = new Map(clients.map(client => [client, []]))
  for (const client of clients) client.provider.on('broadcast', text => heard.get(client).push(text))
  await Promise.all([...clients, hocuspocus, viewer, stock].map(client => client.waitSynced()))
  for (const listener of listeners) await listener.next('presence')

  clients[0].provider.broadcast('one \u{1F600}')
  clients[2].provider.broadcast('two')
  hocuspocus.provider.sendStateless('three')
  assert.equal((await admin(server, 'POST', '/v1/docs/a/broadcast', { payload: 'four' })).status, 200)
  const expected = new Map([[clients[0], ['two', 'three', 'four']], [clients[1], ['one \u{1F600}', 'two', 'three', 'four']], [clients[2], ['one \u{1F600}', 'three', 'four']]])
  const sorted = list => [...list].sort().join()
  for (const client of clients) {
    await waitFor(() => sorted(heard.get(client)) === sorted(expected.get(client)), 5_000, () => `${expected.get(client)}, not ${heard.get(client)}`)
  }
  await waitFor(() => sorted(viewer.stateless) === sorted(['one \u{1F600}', 'two', 'three', 'four']), 5_000, () => `${viewer.stateless}`)
  for (const listener of listeners) {
    for (const [from, payload] of [['user:q0', 'one \u{1F600}'], ['user:q2', 'two'], ['user:h', 'three'], [null, 'four']]) {
      await listener.next('broadcast', data => data.from === from && data.payload === payload)
    }
  }
  viewer.provider.sendStateless('of a viewer')
  const late = openQuire(server, 'a', { t, token: token('late') })
  const told = []
  late.provider.on('broadcast', text => told.push(text))
  await late.waitSynced()
  clients[1].provider.broadcast('last')
  await waitFor(() => told.length > 0, 5_000, 'the last')
  assert.deepEqual(told, ['last'])
  assert.ok(!hocuspocus.stateless.includes('of a viewer'))
  // Not stored.
  await server.restart()
  const after = openQuire(server, 'a', { t, token: token('after') })
  await after.waitSynced()
  assert.equal(after.doc.share.size, 0)
})

for (const count of [1, 2]) {
  test(`what is told between two polls is in the second, be nobody else there (${count === 1 ? 'one server' : 'two servers'})`, { timeout: 60_000 }, async t => {
    const servers = count === 1 ? [await guarded(t)] : (await nodes(t, count, { env: { QUIRE_AUTH_SECRET: SECRET } })).servers
    const poll = async after => {
      const response = await servers[0].fetch(`/v1/docs/a/events/poll?after=${after}`, { headers: { authorization: `Bearer ${pass('l', 'read')}` } })
      assert.equal(response.status, 200)
      return response.json()
    }
    const first = await poll('')
    assert.deepEqual(first.events.map(({ event }) => event), ['presence'])
    assert.equal((await admin(servers.at(-1), 'POST', '/v1/docs/a/broadcast', { payload: 'meanwhile' })).status, 200)
    const second = await poll(first.next)
    assert.deepEqual(second.events.map(({ event, data }) => [event, data.payload]), [['broadcast', 'meanwhile']])
  })
}

test('too many are dropped or answered with 429, and harm nobody else', async t => {
  const server = await guarded(t)
  const [loud, quiet] = ['loud', 'quiet'].map(sub => openQuire(server, 'a', { t, token: pass(sub, 'write') }))
  await Promise.all([loud.waitSynced(), quiet.waitSynced()])
  let heard = 0
  quiet.provider.on('broadcast', () => heard++)
  for (let n = 0; n < 500; n++) loud.provider.broadcast(`${n}`)
  loud.text().insert(0, 'behind them')
  await quiet.waitEqual(loud)
  assert.ok(heard >= 20 && heard < 200, `${heard} of 500`)
  const counted = await metrics(server)
  assert.ok(Number(/quire_broadcasts_refused_total (\d+)/.exec(counted)[1]) >= 300)
  const statuses = await Promise.all(Array.from({ length: 200 }, async () => (await admin(server, 'POST', '/v1/docs/a/broadcast', { payload: 'x' })).status))
  assert.ok(statuses.includes(429), `${new Set(statuses)}`)
  for (const [body, status] of [[{ payload: 1 }, 400], [{}, 400], [{ payload: 'x'.repeat(70_000) }, 413]]) {
    assert.equal((await admin(server, 'POST', '/v1/docs/a/broadcast', body)).status, status)
  }
  const viewer = await server.fetch('/v1/docs/a/broadcast', { method: 'POST', headers: { authorization: `Bearer ${pass('v', 'read')}` }, body: '{"payload":"x"}' })
  assert.equal(viewer.status, 403)
})
