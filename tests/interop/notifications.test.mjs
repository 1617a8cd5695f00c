// Notifications: at once to whoever is there, later to whoever is not, once, in order, whatever happens in between.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admin, guarded, metrics, pass } from './cases/lib/access.mjs'
import { waitFor } from './lib/client.mjs'
import { listen } from './lib/listen.mjs'
import { openQuire } from './lib/quire.mjs'
import { start } from './lib/server.mjs'

const post = async (server, user, body, more = {}) => {
  const response = await admin(server, 'POST', `/v1/users/${user}/notifications`, { body, ...more })
  return { status: response.status, ...await response.json() }
}
const mine = (sub, claims) => pass(sub, undefined, { docs: [], ...claims })
const ask = (server, token, method, path, body) =>
  server.fetch(path, { method, headers: { authorization: `Bearer ${token}` }, body: body === undefined ? undefined : JSON.stringify(body) })
const bodies = listener => listener.of('notification').map(({ data }) => data.body)
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Waits until these have come, and no others. */
const has = async (listener, expected) => {
  await waitFor(() => bodies(listener).length >= expected.length, 15_000, () => `${expected}, not ${bodies(listener)}; ${listener.statuses} ${listener.error ?? ''}`)
  assert.deepEqual(bodies(listener), expected, listener.way)
}

test('every tab of a user gets it at once, by stream and by poll, and nobody else does', async t => {
  const server = await guarded(t)
  const tabs = ['sse', 'sse', 'poll'].map(way => listen(server, '/v1/me/events', { t, token: mine('ada'), way }))
  const bob = listen(server, '/v1/me/events', { t, token: mine('bob') })
  for (const tab of [...tabs, bob]) await tab.next('inbox', ({ reset }) => !reset)
  const posted = await post(server, 'ada', { text: 'hello\nAda' })
  assert.equal(posted.status, 201)
  for (const tab of tabs) {
    const { id, data } = await tab.next('notification', undefined, { deadline: 2_000 })
    assert.deepEqual([id, data.id, data.body, data.read], [posted.id, posted.id, { text: 'hello\nAda' }, false])
  }
  // What one tab has read, the others know.
  assert.equal((await ask(server, mine('ada'), 'POST', '/v1/me/notifications/read', { ids: [posted.id] })).status, 200)
  for (const tab of tabs) await tab.next('read', ({ ids }) => ids.join() === posted.id, { deadline: 2_000 })
  assert.deepEqual(bodies(bob), [])
})

test('what comes while its user is away, and the server is killed, arrives exactly once after the return, in order', async t => {
  const server = await guarded(t)
  const first = listen(server, '/v1/me/events', { t, token: mine('ada') })
  await first.next('inbox')
  for (const n of numbers(1, 3)) await post(server, 'ada', n)
  await has(first, [1, 2, 3])
  first.close()
  for (const n of numbers(4, 6)) await post(server, 'ada', n)
  await server.restart()
  for (const n of numbers(7, 9)) await post(server, 'ada', n)
  await server.restart()
  const back = ['sse', 'poll'].map(way => listen(server, '/v1/me/events', { t, token: mine('ada'), way, after: first.lastId }))
  for (const listener of back) await has(listener, numbers(4, 9))
  await post(server, 'ada', 10)
  for (const listener of back) await has(listener, numbers(4, 10))
  // Over a kill they go on by themselves, too.
  await server.restart()
  await post(server, 'ada', 11)
  for (const listener of back) {
    await has(listener, numbers(4, 11))
    assert.deepEqual(listener.of('inbox'), [])
  }
})

test('with a good id nothing is missed or doubled; with an old, a foreign or a garbage one, or none, comes what is unread', async t => {
  const server = await guarded(t, { args: ['--inbox', '10'] })
  const ids = []
  for (const n of numbers(1, 12)) ids.push((await post(server, 'ada', n)).id)
  await ask(server, mine('ada'), 'POST', '/v1/me/notifications/read', { up_to: ids[4] })
  const foreign = (await post(server, 'bob', 0)).id
  for (const way of ['sse', 'poll']) {
    const listener = after => listen(server, '/v1/me/events', { t, token: mine('ada'), way, after })
    await has(listener(ids[8]), numbers(10, 12))
    // The last that had to go, with which nothing is missing yet.
    await has(listener(ids[1]), numbers(3, 12))
    for (const after of [ids[0], foreign, 'garbage', `${ids[0].split('.')[0]}.99`, '00000000.1']) {
      const reset = listener(after)
      await has(reset, numbers(6, 12))
      assert.deepEqual(reset.of('inbox').map(({ data }) => data), [{ reset: true }], `${way} ${after}`)
    }
    const fresh = listener(undefined)
    await has(fresh, numbers(6, 12))
    assert.deepEqual(fresh.of('inbox').map(({ data }) => data), [{ reset: false }])
  }
  assert.match(await metrics(server), /quire_notifications_evicted_total 2/)
})

test('a listener that reads nothing for a while is slow and right', async t => {
  const server = await guarded(t)
  const listener = listen(server, '/v1/me/events', { t, token: mine('ada') })
  await listener.next('inbox')
  const go = listener.pause()
  const large = n => ({ n, text: 'x'.repeat(3_900) })
  for (let n = 0; n < 200; n += 20) await Promise.all(numbers(n, n + 19).map(n => post(server, 'ada', large(n))))
  const { rss } = server.memory()
  go()
  await waitFor(() => bodies(listener).length === 200, 15_000, () => `200, not ${bodies(listener).length}`)
  assert.equal(new Set(bodies(listener).map(({ n }) => n)).size, 200)
  const ids = listener.of('notification').map(({ id }) => Number(id.split('.')[1]))
  assert.deepEqual(ids, numbers(1, 200))
  t.diagnostic(`${(rss / 2 ** 20).toFixed(0)} MiB`)
})

test('a repetition is known by its key, also after a kill; what has expired does not come', async t => {
  const server = await guarded(t)
  const one = await post(server, 'ada', 1, { key: 'order-7' })
  await post(server, 'ada', 2, { expires_in: 1 })
  await server.restart()
  const again = await post(server, 'ada', 'other', { key: 'order-7' })
  assert.deepEqual([one.status, again.status, again.id, again.new], [201, 200, one.id, false])
  const list = async query => (await (await ask(server, mine('ada'), 'GET', `/v1/me/notifications${query}`)).json())
  await waitFor(async () => (await list('')).notifications.length === 1, 5_000, 'the end of the second')
  await has(listen(server, '/v1/me/events', { t, token: mine('ada') }), [1])
  await post(server, 'ada', 3)
  const page = await list('?limit=1')
  assert.deepEqual(page.notifications.map(({ body }) => body), [1])
  assert.deepEqual((await list(`?after=${page.next}`)).notifications.map(({ body, read }) => [body, read]), [[3, false]])
  await ask(server, mine('ada'), 'POST', '/v1/me/notifications/read', { up_to: one.id })
  assert.deepEqual((await list('?unread=true')).notifications.map(({ body }) => body), [3])
})

test('only who may posts, only a user listens, and it ends with its rights', async t => {
  const server = await guarded(t)
  const path = '/v1/users/ada/notifications'
  for (const [token, body, status, code] of [
    [pass('eve', 'write'), { body: 1 }, 403, 'forbidden'],
    [mine('app', { notify: true }), { body: 1 }, 201],
    [mine('app', { notify: true }), { bdy: 1 }, 400, 'bad_body'],
    [mine('app', { notify: true }), { body: 'x'.repeat(5_000) }, 413, 'too_large'],
    [mine('app', { notify: true }), { body: 1, expires_in: 0 }, 400, 'bad_body']
  ]) {
    const response = await ask(server, token, 'POST', path, body)
    assert.equal(response.status, status, JSON.stringify(body).slice(0, 50))
    if (code) assert.equal((await response.json()).error.code, code)
  }
  assert.equal((await ask(server, mine('app', { notify: true }), 'POST', '/v1/users/%00/notifications', { body: 1 })).status, 400)
  assert.equal((await server.fetch('/v1/me/events')).status, 401)
  assert.equal((await ask(server, mine(undefined), 'GET', '/v1/me/events')).status, 403)
  assert.equal((await ask(server, mine('eve'), 'GET', '/v1/users/ada/events')).status, 403)
  const listener = listen(server, '/v1/me/events', { t, token: mine('ada'), resume: false })
  await has(listener, [1])
  await admin(server, 'POST', '/v1/admin/revoke', { user: 'ada' })
  assert.equal((await listener.next('close')).data.code, 4401)
})

test('without tokens whoever is on the machine listens for any user', async t => {
  const server = await start({ t, store: 'sled' })
  const send = n => server.fetch('/v1/users/ada/notifications', { method: 'POST', body: JSON.stringify({ body: n }) })
  await send(1)
  const listener = listen(server, '/v1/users/ada/events', { t })
  await send(2)
  await has(listener, [1, 2])
  assert.equal((await server.fetch('/v1/me/events')).status, 403)
})

test('the same stream comes within the connection of the provider, over every transport, once and in order over kills', async t => {
  const server = await guarded(t)
  const clients = ['websocket', 'sse', 'poll'].map(transport => {
    const client = openQuire(server, 'a', { t, token: pass('ada', 'write'), transports: [transport], provider: { notifications: true } })
    client.bodies = []
    client.marks = []
    client.inboxes = 0
    client.provider.on('notification', ({ body }) => client.bodies.push(body))
    client.provider.on('read', marks => client.marks.push(marks))
    client.provider.on('inbox', () => client.inboxes++)
    return client
  })
  const all = async expected => {
    for (const client of clients) {
      await waitFor(() => client.bodies.length >= expected.length, 30_000, () => `${expected}, not ${client.bodies}, over ${client.provider.transport}`)
      assert.deepEqual(client.bodies, expected, client.provider.transport)
    }
  }
  await Promise.all(clients.map(client => client.waitSynced()))
  const { id } = await post(server, 'ada', 1)
  await post(server, 'ada', 2)
  await all([1, 2])
  await ask(server, mine('ada'), 'POST', '/v1/me/notifications/read', { up_to: id })
  for (const client of clients) await waitFor(() => client.marks.some(({ up_to: upTo }) => upTo === id), 5_000, 'what is read')
  await server.restart()
  for (const n of [3, 4]) await post(server, 'ada', n)
  clients[0].drop()
  for (const n of [5, 6]) await post(server, 'ada', n)
  await all(numbers(1, 6))
  assert.deepEqual(clients.map(({ inboxes }) => inboxes), [1, 1, 1])
  // Edits go on beside it.
  clients[0].text().insert(0, 'x')
  await clients[2].waitEqual(clients[0])
  // A client of another user, and one that did not ask, get nothing.
  const others = [openQuire(server, 'a', { t, token: pass('ada', 'write') }), openQuire(server, 'a', { t, token: pass('bob', 'write'), provider: { notifications: true } })]
  const told = []
  for (const other of others) other.provider.on('notification', ({ body }) => told.push(body))
  await Promise.all(others.map(client => client.waitSynced()))
  await post(server, 'ada', 7)
  await all(numbers(1, 7))
  assert.deepEqual(told, [])
})
