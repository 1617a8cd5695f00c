// Idle clients of every kind keep their one connection, and refused ones start no storm. QUIRE_IDLE is how long they idle, in milliseconds:
// by default short, with the intervals of server and clients shortened; `just idle` takes the real ones for five minutes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { never, openClient, RawClient, waitFor } from './lib/client.mjs'
import { openHocuspocus, openSocket } from './lib/hocuspocus.mjs'
import { openYSweet } from './lib/ysweet.mjs'
import { start } from './lib/server.mjs'
import { token } from './lib/token.mjs'

const FULL = Number(process.env.QUIRE_IDLE ?? 0)

test('rules 1 and 2: idle clients of every kind stay on one connection', { timeout: FULL + 90_000 }, async t => {
  const [ms, args, socket] = FULL ? [FULL, [], {}] : [8_000, ['--keepalive', '1s'], { messageReconnectTimeout: 2_500 }]
  const server = await start({ t, args })
  const hocuspocus = (name, options) => openHocuspocus(server, name, { t, ...options, socket: openSocket(server, { t, version: options.version, socket }) })
  const clients = Object.fromEntries([4, 3, 2].flatMap(version => [true, false].map(presence => [`Hocuspocus ${version}, presence ${presence}`, hocuspocus(`hp ${version} ${presence}`, { version, presence })])))
  const shared = openSocket(server, { t, version: 3, socket })
  Object.assign(clients, {
    'one of two documents of a socket': openHocuspocus(server, 'shared 1', { t, socket: shared }),
    'the other': openHocuspocus(server, 'shared 2', { t, socket: shared }),
    'y-websocket 3': openClient(server, 'yws 3', { t, presence: false }),
    'y-websocket 2': openClient(server, 'yws 2', { t, presence: false, version: 2 }),
    'y-sweet': openYSweet(server, 'ysweet', { t })
  })
  await Promise.all(Object.values(clients).map(client => client.waitSynced()))
  const away = () => Object.entries(clients).filter(([, client]) => client.connections !== 1 || !client.synced).map(([kind]) => kind)
  await never(() => away().length > 0, ms, 'a reconnect of an idle client')
  assert.deepEqual(away(), [])
})

test('rule 3: a refused client stays, or comes back with pauses, and a better token opens the door', { timeout: 60_000 }, async t => {
  const secret = 'a secret of thirty-two bytes or more'
  const server = await start({ t, env: { QUIRE_AUTH_SECRET: secret } })
  const good = token(secret, { sub: 'ann', docs: [{ prefix: '', access: 'write' }] })
  let shown = 'bad'
  const refused = [4, 3, 2].map(version => openHocuspocus(server, `refused ${version}`, { t, version, token: () => shown }))
  const tokenless = openHocuspocus(server, 'refused', { t, version: 2 })
  const ywebsocket = [3, 2].map(version => openClient(server, 'refused', { t, version, params: { token: 'bad' } }))
  const raw = await RawClient.connect(`${server.wsUrl}/`, { t })
  assert.equal(raw.closed, null)
  await never(() => [...refused, tokenless].some(client => client.connections > 1), 8_000, 'a second connection of a refused Hocuspocus client')
  for (const client of [...refused, tokenless]) assert.deepEqual(client.refusals, ['permission-denied'], client.describe())
  // Before there is a connection: 0.2, 0.4, 0.8, 1.6, 2.5 s.
  for (const client of ywebsocket) assert.equal(client.connections, 0)
  const attempts = server.logLines().filter(line => /a connection was refused/.test(line)).length
  assert.ok(attempts <= 2 * 8, `${attempts} attempts of two y-websocket clients in 8 s`)
  // Providers from 3 on ask again over the same connection.
  shown = good
  for (const client of refused.filter(client => client.version !== 2)) {
    await client.provider.sendToken()
    client.provider.startSync()
    await client.waitSynced()
    client.text().insert(0, 'x')
    await client.waitSaved()
    assert.equal(client.connections, 1)
  }
})

test('rule 3: a client beyond a bound stays on its connection, and is let in when it asks and there is room', { timeout: 60_000 }, async t => {
  const secret = 'a secret of thirty-two bytes or more'
  const server = await start({ t, args: ['--max-per-user', '3'], env: { QUIRE_AUTH_SECRET: secret } })
  const good = token(secret, { sub: 'ann', docs: [{ prefix: '', access: 'write' }] })
  const open = version => openHocuspocus(server, 'doc', { t, version, token: good })
  const first = [4, 3, 2].map(open)
  await Promise.all(first.map(client => client.waitSynced()))
  const refused = [4, 3, 2].map(open)
  await waitFor(() => refused.every(client => client.refusals.length > 0), 5_000, () => refused.map(client => client.describe()).join('\n'))
  await never(() => refused.some(client => client.connections > 1), 2_000, 'a second connection of a refused client')
  for (const client of refused) assert.deepEqual(client.refusals, ['too-many-connections'], client.describe())
  first.forEach(client => client.destroy())
  for (const client of refused.filter(client => client.version !== 2)) {
    await waitFor(async () => {
      await client.provider.sendToken()
      return client.scopes.length > 0
    }, 10_000, () => `room for ${client.describe()}`)
    client.provider.startSync()
    await client.waitSynced()
    assert.equal(client.connections, 1)
  }
})

test('rule 4: nothing that passes keeps a client of any kind away for good', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const clients = [openClient(server, 'doc', { t }), openClient(server, 'doc', { t, version: 2 }), openYSweet(server, 'doc', { t }),
    ...[4, 3, 2].map(version => openHocuspocus(server, 'doc', { t, version }))]
  await Promise.all(clients.map(client => client.waitSynced()))
  await server.stop()
  await server.restart()
  await Promise.all(clients.map(client => client.waitSynced(20_000)))
  for (const client of clients) assert.ok(client.connections <= 3, `${client.connections} connections`)
  clients[3].text().insert(0, 'all of them')
  await Promise.all(clients.map(client => client.waitEqual(clients[3])))
})

test('tokens: a read-only scope, one renewed before its end, one that is not', { timeout: 60_000 }, async t => {
  const secret = 'a secret of thirty-two bytes or more'
  const server = await start({ t, env: { QUIRE_AUTH_SECRET: secret } })
  const made = (access, seconds) => token(secret, { sub: 'ann', exp: Math.floor(Date.now() / 1000) + seconds, docs: [{ prefix: '', access }] })
  const writer = openHocuspocus(server, 'doc', { t, token: made('write', 3600) })
  const renewing = [4, 3].map(version => openHocuspocus(server, 'doc', { t, version, token: () => made('write', 6) }))
  // Version 2 knows no request for a token: it is sent away, and comes back with another.
  const returning = openHocuspocus(server, 'doc', { t, version: 2, token: () => made('write', 1) })
  const reader = openHocuspocus(server, 'doc', { t, token: made('read', 3600) })
  // It is taken for 5 s more, since clocks may differ.
  const ending = openHocuspocus(server, 'doc', { t, token: made('write', -1) })
  const all = [writer, reader, ending, returning, ...renewing]
  await Promise.all(all.map(client => client.waitSynced()))
  assert.deepEqual(reader.scopes, ['readonly'])
  assert.deepEqual(writer.scopes, ['read-write'])
  writer.text().insert(0, 'hello')
  await reader.waitEqual(writer)
  reader.text().insert(0, 'not taken ')
  await never(() => reader.saved || writer.text().length !== 5, 2_000, 'the edit of a reader taken')
  await never(() => renewing.some(client => client.closes.length > 0 || client.connections > 1), 8_000, 'a token that is renewed ends something')
  assert.equal(ending.closes.length, 1)
  assert.equal(ending.connections, 1)
  ending.text().insert(0, 'too late ')
  await waitFor(() => returning.connections > 1 && returning.synced, 10_000, 'the return of version 2')
  assert.ok(returning.connections <= 3)
  for (const client of [...renewing, returning]) client.text().insert(0, 'in time ')
  await Promise.all([...renewing, returning].map(client => client.waitSaved()))
  assert.equal(writer.text().toString().includes('too late'), false)
  assert.equal(writer.text().toString().split('in time').length, 4)
})
