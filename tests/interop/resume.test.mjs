// Who comes back with an id goes on where it was; who comes with one that is too old, foreign or garbage gets the whole state: what is told and who types, by
// stream and by poll, and notifications within a connection. (presence, watch and notifications.test.mjs have the rest.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admin, guarded, pass } from './cases/lib/access.mjs'
import { waitFor } from './lib/client.mjs'
import { listen, peopleOf } from './lib/listen.mjs'
import { openQuire } from './lib/quire.mjs'

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const words = listener => listener.of('broadcast').map(({ data }) => data.payload)

test('broadcasts and typing, by stream and by poll', { timeout: 60_000 }, async t => {
  const server = await guarded(t, { args: ['--stream-log', '16KiB'] })
  const [one, two, bob] = ['ada', 'ada', 'bob'].map(sub => openQuire(server, 'a', { t, token: pass(sub, 'write') }))
  await Promise.all([one, two, bob].map(client => client.waitSynced()))
  const token = pass('eve', 'read')
  const witness = listen(server, '/v1/docs/a/events', { t, token })
  await waitFor(() => peopleOf(witness).size === 2 && peopleOf(witness).get('user:ada').clients.length === 2, 10_000, 'two people in three tabs')
  const told = []
  const tell = async payload => {
    assert.equal((await admin(server, 'POST', '/v1/docs/a/broadcast', { payload })).status, 200)
    told.push(payload)
    await waitFor(() => words(witness).at(-1) === payload, 5_000, () => `${payload} among ${words(witness)}`)
    return witness.lastId
  }
  const old = await tell('before everything that is kept')
  for (const n of numbers(1, 20)) await tell(`${n} ${'x'.repeat(1_000)}`)
  const good = await tell('the last that was heard')
  await tell('missed')
  bob.provider.setTyping()
  await witness.next('typing', ({ typing }) => typing)
  const typed = witness.lastId
  await tell('missed, too')
  // All of it is in the past.
  await witness.next('typing', ({ typing }) => !typing)
  const [tag, number] = good.split('.')
  const foreign = `${tag === '00000001' ? '00000002' : '00000001'}.${number}`

  const listeners = ['sse', 'poll'].flatMap(way => [good, typed, old, foreign, `${tag}.999999`, 'garbage', '', undefined].map(after =>
    Object.assign(listen(server, '/v1/docs/a/events', { t, token, way, after }), { after })))
  const hears = async word => { for (const listener of listeners) await waitFor(() => words(listener).at(-1) === word, 10_000, () => `${word} by ${listener.way} with ${listener.after}`) }
  // What follows is heard by all, behind what each has missed.
  await waitFor(() => listeners.every(({ events }) => events.length > 0), 10_000, 'the beginning of all')
  await tell('now')
  await hears('now')
  for (const listener of listeners) {
    const events = listener.events.map(({ event, data }) => event === 'broadcast' ? data.payload : event === 'typing' ? data.typing : event)
    const expected = { [good]: ['missed', true, 'missed, too', false, 'now'], [typed]: ['missed, too', false, 'now'] }[listener.after] ?? ['presence', 'now']
    assert.deepEqual(events, expected, `${listener.way} with ${listener.after}`)
    assert.deepEqual([...peopleOf(listener).values()].filter(({ typing }) => typing), [])
  }

  // Somebody types at this moment: the state says so, and everybody hears its end.
  bob.provider.setTyping()
  await waitFor(() => peopleOf(witness).get('user:bob').typing, 5_000, 'typing')
  const late = ['sse', 'poll'].flatMap(way => [old, foreign, 'garbage'].map(after => listen(server, '/v1/docs/a/events', { t, token, way, after })))
  for (const listener of late) {
    await listener.next('presence', ({ people }) => people.some(({ person, typing }) => person === 'user:bob' && typing))
    await listener.next('typing', ({ person, typing }) => person === 'user:bob' && !typing)
    assert.deepEqual(listener.events.map(({ event }) => event), ['presence', 'typing'], listener.way)
  }
})

test('the same after the server was killed: nothing of before is told again', { timeout: 60_000 }, async t => {
  const server = await guarded(t)
  const ada = openQuire(server, 'a', { t, token: pass('ada', 'write') })
  await ada.waitSynced()
  const token = pass('eve', 'read')
  const witness = listen(server, '/v1/docs/a/events', { t, token, resume: false })
  await waitFor(() => peopleOf(witness).has('user:ada'), 5_000, 'ada')
  await admin(server, 'POST', '/v1/docs/a/broadcast', { payload: 'before' })
  await witness.next('broadcast')
  await server.restart('SIGKILL')
  const back = ['sse', 'poll'].map(way => listen(server, '/v1/docs/a/events', { t, token, way, after: witness.lastId }))
  for (const listener of back) await waitFor(() => peopleOf(listener).has('user:ada'), 15_000, () => `ada by ${listener.way}`)
  await admin(server, 'POST', '/v1/docs/a/broadcast', { payload: 'after' })
  for (const listener of back) {
    await listener.next('broadcast')
    assert.equal(listener.events[0].event, 'presence', listener.way)
    assert.deepEqual(words(listener), ['after'], listener.way)
  }
})

test('notifications within a connection, over every transport', { timeout: 60_000 }, async t => {
  const server = await guarded(t, { args: ['--inbox', '10'] })
  const post = async (user, body) => (await (await admin(server, 'POST', `/v1/users/${user}/notifications`, { body })).json()).id
  const ids = []
  for (const n of numbers(1, 12)) ids.push(await post('ada', n))
  const foreign = await post('bob', 0)
  const token = pass('ada', 'write')
  await server.fetch('/v1/me/notifications/read', { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ up_to: ids[4] }) })
  const open = (transport, notifications) => {
    const client = Object.assign(openQuire(server, 'a', { t, token, transports: [transport], provider: { notifications } }), { told: [], shown: `${transport} with ${notifications}` })
    client.provider.on('inbox', ({ reset }) => client.told.push(reset ? 'all anew' : 'all'))
    client.provider.on('notification', ({ body }) => client.told.push(body))
    return client
  }
  const clients = ['websocket', 'sse', 'poll'].flatMap(transport => [
    [ids[8], numbers(10, 12)],
    [ids[11], []],
    // Pushed out, another user's, of a server that never was, of the future, no id at all.
    ...[ids[0], foreign, '00000000.1', `${ids[0].split('.')[0]}.99`, 'garbage'].map(id => [id, ['all anew', ...numbers(6, 12)]]),
    [true, ['all', ...numbers(6, 12)]]
  ].map(([id, expected]) => Object.assign(open(transport, id), { expected })))
  const tell = async () => {
    for (const { told, expected, shown } of clients) {
      await waitFor(() => told.length >= expected.length, 15_000, () => `${expected} by ${shown}, not ${told}`)
      assert.deepEqual(told, expected, shown)
    }
  }
  await tell()
  await post('ada', 13)
  for (const { expected } of clients) expected.push(13)
  await tell()
  // Over a kill they go on with the ids that they have by now.
  await server.restart('SIGKILL')
  await post('ada', 14)
  for (const { expected } of clients) expected.push(14)
  await tell()
})
