// Who is in a document, who types and who is online: over WebSocket, as a stream and by long poll, from one source.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admin, guarded, metrics, pass } from './cases/lib/access.mjs'
import { openClient, waitFor } from './lib/client.mjs'
import { listen, peopleOf } from './lib/listen.mjs'
import { WAYS, everyWay, join, knows, typist } from './lib/people.mjs'
import { openQuire } from './lib/quire.mjs'
import { start } from './lib/server.mjs'

const get = async (server, path, sub, access = 'read') =>
  (await server.fetch(path, { headers: { authorization: `Bearer ${pass(sub, access)}` } })).json()

test('two people in three tabs are two people, to everyone who asks, and a clean leave is seen at once', async t => {
  const server = await guarded(t)
  const listeners = everyWay(server, '/v1/docs/a%2Fb/events', { t, token: pass('eve', 'read') })
  const [one, two, bob] = [join(server, 'a/b', 'ada', { t }), join(server, 'a/b', 'ada', { t, transports: ['sse'] }), join(server, 'a/b', 'bob', { t, transports: ['poll'] })]
  await knows(listeners, ['user:ada 2', 'user:bob 1'])
  const { people, next } = await get(server, '/v1/docs/a%2Fb/presence', 'eve')
  assert.deepEqual(people.map(({ person, verified, user }) => [person, verified, user.id]), [['user:ada', true, 'ada'], ['user:bob', true, 'bob']])
  assert.deepEqual(people[0].clients, [one.clientId, two.clientId].sort((a, b) => a - b))
  // The same as awareness has it.
  assert.deepEqual(one.provider.people.map(({ user }) => user.id).sort(), ['ada', 'bob'])
  // Exactly what comes behind the answer.
  const later = listen(server, '/v1/docs/a%2Fb/events', { t, token: pass('eve', 'read'), after: next })
  two.disconnect()
  await knows(listeners, ['user:ada 1', 'user:bob 1'], 2_000)
  bob.disconnect()
  await knows(listeners, ['user:ada 1'], 2_000)
  await later.next('leave', ({ person }) => person === 'user:bob')
  assert.deepEqual(later.events.map(({ event }) => event), ['change', 'leave'])
  assert.equal(listeners[0].of('presence').length, 1)
})

test('who is online anywhere, and when somebody was last seen, is told to those who may read there', async t => {
  const server = await guarded(t)
  const ada = join(server, 'secret', 'ada', { t })
  const bob = join(server, 'open', 'bob', { t })
  const own = (sub, doc) => pass(sub, undefined, { docs: [{ name: doc, access: 'read' }] })
  const ask = async (user, token) => (await server.fetch(`/v1/users/${user}/presence`, { headers: { authorization: `Bearer ${token}` } })).json()
  await waitFor(async () => (await ask('ada', own('eve', 'secret'))).online, 5_000, 'ada')
  assert.deepEqual(await ask('ada', own('eve', 'secret')), { user: 'ada', online: true, docs: ['secret'], last_seen: null })
  assert.deepEqual(await ask('ada', own('eve', 'open')), { user: 'ada', online: false, docs: [], last_seen: null })
  await waitFor(async () => (await ask('bob', own('eve', 'open'))).online, 5_000, 'bob')
  const before = Date.now()
  ada.disconnect()
  await waitFor(async () => (await ask('ada', own('eve', 'secret'))).last_seen >= before, 2_000, 'last seen')
  assert.equal((await ask('ada', own('eve', 'open'))).last_seen, null)
  assert.equal((await ask('ada', own('ada', 'open'))).docs.length, 0)
  const everybody = await (await admin(server, 'GET', '/v1/presence')).json()
  assert.deepEqual(everybody, { people: [{ person: 'user:bob', docs: ['open'] }], next: null })
  assert.equal((await server.fetch('/v1/presence', { headers: { authorization: `Bearer ${own('eve', 'open')}` } })).status, 403)
  bob.disconnect()
})

test('who is unseen is nowhere, and who may not read hears nothing', async t => {
  const server = await guarded(t)
  const listener = listen(server, '/v1/docs/a/events', { t, token: pass('eve', 'read') })
  await listener.next('presence')
  const hidden = openQuire(server, 'a', { t, token: pass('spy', undefined, { docs: [{ prefix: '', access: 'read', presence: false }] }) })
  await hidden.waitSynced()
  const ada = join(server, 'a', 'ada', { t })
  await listener.next('join', ({ person }) => person === 'user:ada')
  assert.deepEqual([...peopleOf(listener).keys()], ['user:ada'])
  const other = pass('eve', undefined, { docs: [{ name: 'b', access: 'admin' }] })
  for (const path of ['presence', 'events', 'events/poll']) {
    assert.equal((await server.fetch(`/v1/docs/a/${path}`)).status, 401, path)
    assert.equal((await server.fetch(`/v1/docs/a/${path}`, { headers: { authorization: `Bearer ${other}` } })).status, 403, path)
    assert.equal((await server.fetch(`/v1/docs/a/${path}`, { method: 'POST' })).status, 405, path)
  }
  ada.disconnect()
})

test('listening ends with the token, with the rights, with the document and with the server', async t => {
  const server = await guarded(t, { args: ['--keepalive', '1s'] })
  const hear = (sub, claims) => listen(server, '/v1/docs/a/events', { t, token: pass(sub, 'read', claims), resume: false })
  const close = listener => listener.next('close', undefined, { deadline: 15_000 }).then(({ data }) => data.code)
  const short = hear('short', { exp: Math.floor(Date.now() / 1000) - 2 })
  const revoked = hear('revoked')
  const waiting = listen(server, '/v1/docs/a/events', { t, token: pass('revoked', 'read'), way: 'poll', resume: false })
  const witness = hear('witness')
  await Promise.all([short, revoked, waiting, witness].map(listener => listener.next('presence')))
  const poll = server.fetch(`/v1/docs/a/events/poll?after=${waiting.lastId}`, { headers: { authorization: `Bearer ${pass('revoked', 'read')}` } })
  await waitFor(async () => /quire_listeners 4/.test(await metrics(server)), 5_000, 'four listeners')
  await admin(server, 'POST', '/v1/admin/revoke', { user: 'revoked' })
  assert.equal(await close(revoked), 4401)
  assert.equal((await poll).status, 401)
  assert.equal(await close(short), 4401)
  await admin(server, 'PUT', '/v1/docs/a')
  assert.equal((await admin(server, 'DELETE', '/v1/docs/a')).status, 204)
  assert.equal(await close(witness), 4404)
  const last = hear('last')
  await last.next('presence')
  await waitFor(() => last.comments >= 2, 5_000, 'signs of life')
  const stopped = server.stop()
  assert.equal(await close(last), 1012)
  assert.equal((await stopped).code, 0)
})

test('one that is too slow, or comes back with an old, a foreign or a garbage id, gets the whole state and is right again', async t => {
  const server = await guarded(t, { args: ['--stream-log', '16KiB'] })
  const path = '/v1/docs/a/events'
  const token = pass('eve', 'read')
  const ada = join(server, 'a', 'ada', { t })
  const witness = listen(server, path, { t, token })
  await witness.next('presence')
  const first = await waitFor(() => witness.lastId, 5_000, 'an id')
  const name = n => ada.provider.setUser({ name: `${n} ${'x'.repeat(1_000)}` })
  for (let n = 0; n < 40; n++) {
    name(n)
    await waitFor(() => witness.events.at(-1).data.user?.name.startsWith(`${n} `), 10_000, `name ${n}`)
  }
  const good = witness.events.at(-3).id
  for (const way of WAYS) {
    const back = after => listen(server, path, { t, token, way, after })
    const listener = back(good)
    await waitFor(() => listener.events.length === 2, 5_000, 'exactly what was missed')
    assert.deepEqual(listener.events.map(({ id }) => id), witness.events.slice(-2).map(({ id }) => id), way)
    for (const id of [first, '00000000.1', 'garbage', '', `${good.split('.')[0]}.999999`]) {
      const listener = back(id)
      await listener.next('presence')
      assert.equal([...peopleOf(listener).values()][0].user.name, `39 ${'x'.repeat(1_000)}`, `${way} ${id}`)
      assert.equal(listener.events.length, 1)
    }
  }
})

test('a kill of the server and of a client leaves no ghost and hides nobody', async t => {
  const server = await guarded(t, { args: ['--keepalive', '1s'] })
  const listeners = everyWay(server, '/v1/docs/a/events', { t, token: pass('eve', 'read') })
  const ada = join(server, 'a', 'ada', { t })
  const child = typist(t, server, 'a', pass('bob', 'write'))
  await knows(listeners, ['user:ada 1', 'user:bob 1'])
  await server.restart()
  await knows(listeners, ['user:ada 1', 'user:bob 1'], 20_000)
  child.kill('SIGKILL')
  await knows(listeners, ['user:ada 1'], 2_000)
  // A connection of ada's that ends late does not hide her.
  const old = openClient(server, 'a', { t, params: { token: pass('ada', 'write') } })
  old.awareness.setLocalStateField('cursor', 1)
  await knows(listeners, ['user:ada 2'])
  old.destroy()
  await knows(listeners, ['user:ada 1'])
  assert.equal((await get(server, '/v1/docs/a/presence', 'eve')).people.length, 1)
  ada.disconnect()
})

test('without tokens people are who they say they are', async t => {
  const server = await start({ t })
  const listeners = everyWay(server, '/v1/docs/a/events', { t })
  const [one, two, stock] = [openQuire(server, 'a', { t }), openQuire(server, 'a', { t }), openClient(server, 'a', { t })]
  for (const client of [one, two]) client.provider.setUser({ id: 'ada', name: 'Ada' })
  stock.awareness.setLocalStateField('user', { name: 'Bob' })
  await knows(listeners, ['claimed:ada 2', `client:${stock.clientId} 1`])
  assert.equal((await (await server.fetch('/v1/users/ada/presence')).json()).online, true)
})
