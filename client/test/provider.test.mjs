// The provider as a whole, in a world of its own: sockets without a network, time that is told to pass.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import * as awarenessProtocol from 'y-protocols/awareness'
import { QuireProvider } from '../dist/index.js'
import * as wire from '../dist/wire.js'
import { memory, settle, world } from './world.mjs'

/** A provider whose sockets are this test's to answer. */
function begin (options = {}, given = {}) {
  const w = world(given)
  const doc = options.doc ?? new Y.Doc()
  const events = []
  const provider = new QuireProvider('ws://host', 'doc', doc, { environment: w.environment, ...options })
  for (const name of ['status', 'sync', 'unconfirmed', 'confirmed', 'closed', 'denied', 'transport', 'connection-close', 'connection-error']) {
    provider.on(name, value => events.push(`${name} ${value?.status ?? value?.code ?? value}`))
  }
  const end = async () => { provider.destroy(); doc.destroy(); await settle(); assert.equal(w.timers.size, 0, 'timers are left'); assert.ok([...w.listeners.values()].every(list => list.length === 0), 'listeners are left') }
  return { w, doc, provider, events, end, last: () => w.sockets.at(-1) }
}

/** Plays a server that holds `server`: answers, and asks. */
function greet (socket, server = new Y.Doc()) {
  socket.open()
  socket.receive(wire.step1(Y.encodeStateVector(server)))
  socket.receive(wire.step2(Y.encodeStateAsUpdate(server)))
}

const sent = socket => socket.sent.flatMap(frame => wire.decode(frame))
const kinds = socket => sent(socket).map(message => message.type)
const versions = socket => sent(socket).filter(message => message.type === 'version').map(message => message.version)

test('it asks, answers, and is synced with the answer', async () => {
  const { w, doc, provider, events, end, last } = begin()
  await settle()
  assert.equal(last().url, 'ws://host/ws/doc')
  assert.deepEqual(last().protocols, ['quire-client'])
  last().open()
  assert.deepEqual(kinds(last()), ['step1', 'awareness'])
  assert.equal(provider.status, 'connecting', 'open is not proof')
  const server = new Y.Doc()
  server.getText('t').insert(0, 'there')
  greet(last(), server)
  assert.equal(doc.getText('t').toString(), 'there')
  assert.deepEqual(events, ['status connected', 'transport websocket', 'sync true'])
  assert.ok(kinds(last()).includes('step2'))
  await w.pass(10_000)
  assert.equal(w.sockets.length, 1)
  await end()
  assert.ok(last().closed)
})

test('unconfirmed falls to zero when the count comes back, and not by content that comes back', async () => {
  const { doc, provider, events, end, last } = begin()
  await settle()
  const server = new Y.Doc()
  greet(last(), server)
  assert.deepEqual(versions(last()), [])
  doc.getText('t').insert(0, 'a')
  doc.getText('t').insert(1, 'b')
  assert.equal(provider.unconfirmed, 2)
  assert.deepEqual(versions(last()), [1], 'one question at a time')
  last().receive(wire.update(Y.encodeStateAsUpdate(doc)))
  assert.equal(provider.unconfirmed, 2)
  last().receive(wire.version(1))
  assert.equal(provider.unconfirmed, 1)
  assert.deepEqual(versions(last()), [1, 2])
  let resolved = false
  provider.whenConfirmed().then(() => { resolved = true })
  await settle()
  assert.equal(resolved, false)
  last().receive(wire.version(2))
  await settle()
  assert.ok(resolved)
  assert.deepEqual(events.filter(event => /confirmed/.test(event)), ['unconfirmed 1', 'unconfirmed 2', 'unconfirmed 1', 'unconfirmed 0', 'confirmed undefined'])
  await end()
})

test('a reconnect asks again behind its answer, and an answer of the old connection counts for nothing', async () => {
  const { w, doc, provider, end, last } = begin()
  await settle()
  greet(last())
  doc.getText('t').insert(0, 'a')
  const old = last()
  old.end(1006)
  assert.equal(provider.status, 'disconnected')
  assert.equal(provider.synced, false)
  doc.getText('t').insert(1, 'b')
  assert.equal(provider.unconfirmed, 2)
  await w.pass(500)
  const socket = last()
  assert.notEqual(socket, old)
  socket.open()
  // An update that overtakes the question changes nothing.
  socket.receive(wire.step2(Y.encodeStateAsUpdate(new Y.Doc())))
  doc.getText('t').insert(2, 'c')
  assert.deepEqual(versions(socket), [], 'not before the server has asked')
  old.receive(wire.version(3))
  assert.equal(provider.unconfirmed, 3)
  socket.receive(wire.step1(Y.encodeStateVector(new Y.Doc())))
  const messages = sent(socket)
  const answer = messages.findIndex(message => message.type === 'step2')
  assert.ok(answer >= 0 && messages.findIndex(message => message.type === 'version') > answer)
  const copy = new Y.Doc()
  Y.applyUpdate(copy, messages[answer].update)
  assert.equal(copy.getText('t').toString(), 'abc')
  assert.deepEqual(versions(socket), [3])
  socket.receive(wire.version(3))
  assert.equal(provider.unconfirmed, 0)
  await end()
})

test('what the server has lost counts as unconfirmed again', async () => {
  const { w, doc, provider, end, last } = begin()
  await settle()
  const server = new Y.Doc()
  server.getText('t').insert(0, 'of others')
  greet(last(), server)
  assert.equal(provider.unconfirmed, 0)
  last().end(1006)
  await w.pass(500)
  greet(last(), new Y.Doc())
  assert.equal(provider.unconfirmed, 1)
  last().receive(wire.version(1))
  assert.equal(provider.unconfirmed, 0)
  assert.equal(doc.getText('t').toString(), 'of others')
  await end()
})

test('content that was there before, as from y-indexeddb, is unconfirmed until the server has it', async () => {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, 'offline')
  const { provider, end, last } = begin({ doc })
  assert.equal(provider.unconfirmed, 1)
  await settle()
  greet(last())
  assert.deepEqual(versions(last()), [1])
  const more = new Y.Doc()
  more.getText('t').insert(0, 'loaded late')
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(more), { name: 'the database' })
  assert.equal(provider.unconfirmed, 2)
  await end()
})

test('a reader is told, and never that its edit is stored', async () => {
  const { doc, provider, events, end, last } = begin()
  await settle()
  greet(last())
  doc.getText('t').insert(0, 'x')
  last().receive(Uint8Array.of(2, 0, 2, 110, 111))
  assert.equal(provider.denied, 'no')
  assert.ok(events.includes('denied no'))
  last().receive(wire.version(1))
  assert.equal(provider.unconfirmed, 1)
  await end()
})

test('it stops on what is final, with the reason, and goes on when told to', async () => {
  for (const code of [4400, 4403, 4404, 4409, 1009]) {
    const { w, provider, events, end, last } = begin()
    await settle()
    greet(last())
    last().end(code, 'why')
    assert.deepEqual(provider.refusal, { code, reason: 'why' })
    assert.equal(events.at(-1), `closed ${code}`)
    await w.pass(120_000)
    assert.equal(w.sockets.length, 1)
    provider.connect()
    await settle()
    assert.equal(w.sockets.length, 2)
    assert.equal(provider.refusal, undefined)
    await end()
  }
})

test('everything else is tried again, with growing waits', async () => {
  const { w, provider, end, last } = begin({}, { random: () => 1 })
  const times = []
  for (let i = 0; i < 7; i++) {
    await settle()
    times.push(w.now)
    last().end(1006)
    const before = w.sockets.length
    while (w.sockets.length === before) await w.pass(100)
  }
  const gaps = times.slice(1).map((time, i) => Math.round((time - times[i]) / 100) / 10)
  assert.deepEqual(gaps, [0.5, 1, 2, 4, 8, 16])
  assert.equal(provider.shouldConnect, true)
  // Coming online is a better time than later.
  last().end(1006)
  const before = w.sockets.length
  w.say('online')
  await settle()
  assert.equal(w.sockets.length, before + 1)
  await end()
})

test('a token is asked for before every attempt, and anew when it was not taken', async () => {
  const asked = []
  const tokens = ['old', 'new', 'newer', 'newest', 'last']
  const { w, provider, events, end, last } = begin({ token: async request => { asked.push(request.refresh); return tokens.shift() } })
  await settle()
  assert.match(last().url, /\?token=old$/)
  last().end(4401, 'expired')
  await w.pass(500)
  assert.match(last().url, /\?token=new$/)
  greet(last())
  assert.deepEqual(asked, [false, true])
  last().end(4401, 'expired')
  for (let i = 0; i < 2; i++) {
    await w.pass(2_000)
    last().end(4401, 'no')
  }
  assert.equal(provider.refusal?.code, 4401, 'three refusals in a row are final')
  assert.equal(events.at(-1), 'closed 4401')
  await end()

  const fixed = begin({ token: 'only' })
  await settle()
  fixed.last().end(4401)
  assert.equal(fixed.provider.refusal?.code, 4401, 'there is no other token')
  await fixed.end()
})

test('each connection has a ticket of its own', async () => {
  let count = 0
  const requests = []
  const fetch = async (url, { signal }) => { requests.push(url); return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))) }
  const { w, end, last } = begin({ ticket: () => `t${++count}` }, { fetch })
  await w.pass(1_500)
  assert.match(last().url, /\?ticket=t1$/)
  assert.deepEqual(requests, ['http://host/v1/docs/doc/sessions?ticket=t2'])
  await end()
})

test('credentials that cannot be had are a failed attempt', async () => {
  const { w, events, end } = begin({ token: () => { throw new Error('no network') } })
  await settle()
  assert.equal(w.sockets.length, 0)
  assert.ok(events.includes('connection-error 1006'))
  assert.equal(events.at(-1), 'status disconnected')
  await end()
})

test('a socket that opens and says nothing loses against another way', async () => {
  const requests = []
  const fetch = async (url) => { requests.push(url); return new Response('{"error":{"code":"forbidden","message":"no"}}', { status: 403 }) }
  const { w, provider, end, last } = begin({}, { fetch, storage: memory() })
  await settle()
  last().open()
  await w.pass(900)
  assert.deepEqual(requests, [])
  await w.pass(200)
  assert.equal(requests.length, 1)
  assert.ok(last().closed, 'a refusal with a reason ends all tries')
  assert.deepEqual(provider.refusal, { code: 4403, reason: 'no' })
  await end()
})

test('presence: a state that others take for gone is announced anew, a mere renewal is told from news', async () => {
  const { provider, end, last } = begin()
  await settle()
  greet(last())
  const { clientID } = provider.doc
  const clock = provider.awareness.meta.get(clientID).clock
  const before = last().sent.length
  const gone = new awarenessProtocol.Awareness(new Y.Doc({ guid: 'x' }))
  gone.clientID = clientID
  gone.meta.set(clientID, { clock, lastUpdated: 0 })
  last().receive(wire.awareness(awarenessProtocol.encodeAwarenessUpdate(gone, [clientID], new Map())))
  assert.ok(provider.awareness.meta.get(clientID).clock > clock)
  assert.deepEqual(kinds({ sent: last().sent.slice(before) }), ['awareness'])
  gone.destroy()
  provider.setUser({ id: 1, name: 'Ann' })
  assert.deepEqual(provider.people.map(({ user, isSelf, isTyping }) => [user.name, isSelf, isTyping]), [['Ann', true, false]])
  await end()
})

test('typing goes out at most once a second and ends three seconds after the last key, at others by their own clock', async () => {
  const { w, provider, end, last } = begin()
  await settle()
  greet(last())
  provider.setUser({ id: 1 })
  const count = () => kinds(last()).filter(kind => kind === 'awareness').length
  const before = count()
  let changes = 0
  provider.on('typing', () => changes++)
  for (let i = 0; i < 40; i++) { provider.setTyping(); await w.pass(50) }
  assert.equal(count() - before, 2)
  assert.equal(provider.people[0].isTyping, true)
  await w.pass(3_100)
  assert.equal(provider.people[0].isTyping, false)
  assert.equal(changes, 2)

  // Another one's tab froze.
  const other = new awarenessProtocol.Awareness(new Y.Doc())
  other.setLocalState({ user: { id: 2 }, typing: 5 })
  last().receive(wire.awareness(awarenessProtocol.encodeAwarenessUpdate(other, [other.clientID])))
  const typing = () => provider.people.find(person => person.user.id === 2).isTyping
  assert.equal(typing(), true)
  await w.pass(3_400)
  assert.equal(typing(), true)
  await w.pass(200)
  assert.equal(typing(), false)
  assert.equal(changes, 4)
  other.destroy()
  await end()
})

test('a closed lid is noticed when it opens, and the page that goes lets go', async () => {
  const { w, provider, events, end, last } = begin()
  await settle()
  greet(last())
  await w.pass(3_600_000, { frozen: true })
  assert.ok(events.includes('connection-close 4408'))
  assert.equal(provider.status, 'connecting', 'and tries at once')
  greet(last())
  w.say('pagehide')
  assert.ok(last().closed)
  const before = w.sockets.length
  w.say('pageshow')
  await settle()
  assert.equal(w.sockets.length, before + 1)
  await end()
})

test('tabs of one person share what happens, those of another and those not let in do not', async () => {
  // Given to all of them: real channels of Node.js.
  const { BroadcastChannel } = globalThis
  const make = identity => {
    const w = world()
    w.environment.BroadcastChannel = BroadcastChannel
    const doc = new Y.Doc()
    const provider = new QuireProvider('ws://host', 'shared', doc, { environment: w.environment, identity })
    return { w, doc, provider, last: () => w.sockets.at(-1) }
  }
  const [a, b, stranger, outside, witness] = [make('ann'), make('ann'), make('bob'), make('ann'), make('ann')]
  await settle()
  for (const tab of [a, b, stranger, witness]) greet(tab.last())
  const until = async condition => { for (let i = 0; i < 500 && !condition(); i++) await new Promise(resolve => setTimeout(resolve, 2)); assert.ok(condition()) }
  a.doc.getText('t').insert(0, 'hello')
  await until(() => b.doc.getText('t').toString() === 'hello')
  assert.equal(b.provider.unconfirmed, 0, 'the other tab takes it to the server')
  // Without a server an edit of one is carried by the other.
  a.last().end(1006)
  a.doc.getText('t').insert(5, ' offline')
  await until(() => b.doc.getText('t').toString() === 'hello offline')
  assert.equal(b.provider.unconfirmed, 1)
  assert.ok(sent(b.last()).some(message => message.type === 'update'))
  assert.equal(stranger.doc.getText('t').toString(), '')
  assert.equal(outside.doc.getText('t').toString(), '')
  // Who is refused leaves.
  b.last().end(4403)
  a.doc.getText('t').insert(0, 'secret ')
  await until(() => witness.doc.getText('t').toString() === 'secret hello offline')
  assert.equal(b.doc.getText('t').toString(), 'hello offline')
  for (const tab of [a, b, stranger, outside, witness]) { tab.provider.destroy(); tab.doc.destroy() }
})
