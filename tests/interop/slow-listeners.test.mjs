// Listeners that take 2 KB a second, then nothing for a while, or come back late: by stream, by poll and by WebSocket. They cost nobody else anything, and are
// right afterwards.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admin, guarded, pass } from './cases/lib/access.mjs'
import { openClient, waitFor } from './lib/client.mjs'
import { cut } from './lib/cutter.mjs'
import { listen, peopleOf } from './lib/listen.mjs'
import { openQuire } from './lib/quire.mjs'
import { shown } from './lib/shown.mjs'
import { Poller, Watcher } from './lib/watch.mjs'

const timeout = 90_000
const EVENTS = '/v1/docs/a/events'
const RATE = 2_000
/** More than the system keeps for a connection that nobody reads: broadcasts of 60 KB. */
const FILL = 150
const LARGE = 'x'.repeat(60_000)

const eve = pass('eve', 'read')
/** Who is there as {person: [name, tabs, typing]}. */
const seen = people => Object.fromEntries([...people].map(({ person, user, clients, typing }) => [person, [user?.name, clients.length, typing]]).sort())
const seenBy = listener => JSON.stringify(seen(peopleOf(listener).values()))
const agree = (listener, expected, deadline = 20_000) => waitFor(() => seenBy(listener) === JSON.stringify(expected), deadline,
  () => `${JSON.stringify(expected).slice(0, 300)} by ${listener.way}, not ${seenBy(listener).slice(0, 300)}`)

/** Two people in three tabs, each over another transport. */
async function office (server, t) {
  const [one, two, bob] = [['ada', 'websocket'], ['ada', 'sse'], ['bob', 'poll']].map(([sub, transport]) =>
    openQuire(server, 'a', { t, token: pass(sub, 'write'), transports: [transport] }))
  await Promise.all([one, two, bob].map(client => client.waitSynced()))
  return { one, two, bob }
}

/** Tells everybody in the document this. */
async function tell (server, payload) {
  await waitFor(async () => (await admin(server, 'POST', '/v1/docs/a/broadcast', { payload })).status === 200, 10_000, 'a broadcast that is not one too many')
}

const words = listener => listener.of('broadcast').map(({ data }) => data.payload).filter(payload => payload.length < 100)

test('who is there, who types and what is told: by a stream that is read slowly or not, and by polls that come late', { timeout }, async t => {
  const server = await guarded(t, { args: ['--stream-log', '128KiB'] })
  const cutter = await cut(server, { t })
  const { one, two, bob } = await office(server, t)
  const fast = ['sse', 'poll'].map(way => listen(server, EVENTS, { t, token: eve, way }))
  const slow = listen(cutter, EVENTS, { t, token: eve })
  // One that asks once, and then not for a long time.
  const late = listen(server, EVENTS, { t, token: eve, way: 'poll', resume: false })
  for (const listener of [...fast, slow, late]) await listener.next('presence')
  const everybody = async expected => { for (const listener of fast) await agree(listener, expected) }

  cutter.throttle(RATE, 'down')
  // More than 2 KB a second, and all others have each at once.
  for (let n = 0; n < 20; n++) {
    const name = `${n} ${'y'.repeat(1_500)}`
    one.provider.setUser({ name })
    two.provider.setUser({ name })
    await everybody({ 'user:ada': [name, 2, false], 'user:bob': [undefined, 1, false] })
  }
  cutter.stall('down')
  for (let n = 0; n < FILL; n++) await tell(server, LARGE)
  await tell(server, 'nobody waits for the slow one')
  for (const listener of fast) await waitFor(() => words(listener).length === 1, 20_000, () => `the word by ${listener.way}`)
  two.disconnect()
  for (const client of [one, bob]) client.provider.setUser({ name: 'anew' })
  await everybody({ 'user:ada': ['anew', 1, false], 'user:bob': ['anew', 1, false] })
  // Typing lasts as long as somebody goes on.
  const keys = setInterval(() => bob.provider.setTyping(), 200)
  t.after(() => clearInterval(keys))
  const state = { 'user:ada': ['anew', 1, false], 'user:bob': ['anew', 1, true] }
  await everybody(state)

  cutter.resume()
  const back = listen(server, EVENTS, { t, token: eve, way: 'poll', after: late.lastId })
  for (const listener of [slow, back]) await agree(listener, state)
  // What could not be kept for them was skipped: the first gets the whole state a second time, the other as the first it hears.
  assert.equal(slow.of('presence').length, 2)
  assert.equal(back.events[0].event, 'presence')
  for (const listener of [slow, back]) assert.ok(listener.of('broadcast').length < FILL, `${listener.of('broadcast').length} by ${listener.way}`)
  assert.deepEqual(fast.map(listener => [listener.of('presence').length, listener.statuses.filter(status => status !== 200)]), [[1, []], [1, []]])
  await tell(server, 'all hear this')
  for (const listener of [...fast, slow, back]) await waitFor(() => words(listener).at(-1) === 'all hear this', 10_000, () => `the last word by ${listener.way}`)
  clearInterval(keys)
  for (const listener of [...fast, slow, back]) await agree(listener, { 'user:ada': ['anew', 1, false], 'user:bob': ['anew', 1, false] })
  // Whatever was skipped, nothing came twice or out of order.
  for (const listener of [...fast, slow, back]) {
    const numbers = listener.events.filter(({ id }) => id !== undefined).map(({ id }) => Number(id.split('.')[1]))
    assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), listener.way)
  }
})

test('the same in awareness, over WebSockets that are read slowly or not', { timeout }, async t => {
  const server = await guarded(t, { args: ['--outbox', '64KiB'] })
  const cutter = await cut(server, { t })
  const { one, two, bob } = await office(server, t)
  const slow = [openQuire(cutter, 'a', { t, token: pass('carl', 'read'), transports: ['websocket'] }), openClient(cutter, 'a', { t, params: { token: eve } })]
  const [told, heard] = [[], []]
  slow[0].provider.on('broadcast', text => told.push(text))
  bob.provider.on('broadcast', text => heard.push(text))
  await Promise.all(slow.map(client => client.waitSynced()))
  const names = client => [...client.others().values()].filter(({ user }) => ['ada', 'bob'].includes(user?.id)).map(({ user }) => `${user.id} ${user.name}`).sort().join()
  const knows = (client, expected) => waitFor(() => names(client) === expected, 20_000, () => `${expected.slice(0, 200)}, not ${names(client).slice(0, 200)}`)

  cutter.throttle(RATE, 'down')
  for (let n = 0; n < 5; n++) {
    const name = `${n} ${'y'.repeat(1_500)}`
    for (const { provider } of [one, two]) provider.setUser({ name })
    await knows(bob, `ada ${name},ada ${name}`)
  }
  cutter.stall('down')
  for (let n = 0; n < FILL; n++) await tell(server, LARGE)
  // Whoever is busy with all that may miss a word; nobody does for long.
  await waitFor(async () => {
    await tell(server, 'nobody waits for the slow ones')
    return heard.at(-1) === 'nobody waits for the slow ones'
  }, 10_000, 'the word')
  one.text().insert(0, 'edits neither')
  await bob.waitEqual(one)
  await one.waitConfirmed()
  two.disconnect()
  for (const client of [one, bob]) client.provider.setUser({ name: 'anew' })
  await waitFor(() => one.others().size > 0 && names(one) === 'bob anew' && names(bob) === 'ada anew', 10_000, () => `${names(one)}; ${names(bob)}`)

  cutter.resume()
  for (const client of slow) {
    await knows(client, 'ada anew,bob anew')
    await client.waitEqual(one)
    assert.equal(client.connections, 1)
  }
  // Words are not kept for whoever has no room for them.
  assert.ok(told.length < FILL, `${told.length} of ${FILL}`)
  await tell(server, 'all hear this')
  await waitFor(() => told.at(-1) === 'all hear this' && heard.at(-1) === 'all hear this', 10_000, 'the last word')
  bob.provider.setTyping()
  await waitFor(() => slow[0].provider.people.some(({ user, isTyping }) => user.id === 'bob' && isTyping), 5_000, 'typing')
  await waitFor(() => !slow[0].provider.people.some(({ isTyping }) => isTyping), 10_000, 'its end')
})

test('what a document says: by polls whose answers are read slowly or not, or that come late', { timeout }, async t => {
  const server = await guarded(t, { args: ['--stream-log', '64KiB', '--watch-interval', '20ms'] })
  const cutter = await cut(server, { t })
  const { one, two, bob } = await office(server, t)
  const headers = { authorization: `Bearer ${eve}` }
  const fast = [await Watcher.open(server, 'a', { headers, t }), new Poller(server, 'a', { headers })]
  const [slow, late, soon] = [new Poller(cutter, 'a', { headers }), new Poller(server, 'a', { headers }), new Poller(server, 'a', { headers })]
  const set = async (client, key, value) => {
    client.doc.getMap('m').set(key, value)
    await Promise.all(fast.map(watcher => watcher.says(shown(client.doc))))
  }
  await set(one, 'long', 'long '.repeat(100))
  await bob.waitEqual(one)
  for (const poller of [slow, late, soon]) await poller.says(shown(one.doc))

  // An answer that is on its way for long while the others are told of more.
  await set(one, 'large', 'z'.repeat(40_000))
  cutter.throttle(RATE, 'down')
  const reading = slow.poll()
  await waitFor(() => cutter.bytes.down > RATE, 20_000, 'the beginning of the slow answer')
  cutter.stall('down')
  await two.waitEqual(one)
  for (let n = 0; n < 6; n++) await set([one, two][n % 2], 'large', `${n}`.repeat(30_000)).then(() => bob.waitEqual([one, two][n % 2]))
  await two.waitEqual(one)
  // Late, with more behind it than is kept.
  await late.says(shown(one.doc))
  assert.deepEqual(late.names().slice(-1), ['snapshot'])
  assert.equal(late.names().filter(name => name === 'snapshot').length, 2)
  // In time, with exactly what it has missed.
  await soon.says(shown(one.doc))
  const missed = soon.events.length
  await set(one, 'a', 1)
  await set(one, 'b', 2)
  await soon.says(shown(one.doc))
  assert.deepEqual(soon.names().slice(missed), ['patch', 'patch'])

  cutter.resume()
  assert.equal(await reading, 200)
  await slow.says(shown(one.doc))
  for (const poller of [slow, late, soon]) await poller.says(shown(one.doc))
  assert.deepEqual(new Set([...fast, slow, late, soon].map(({ id }) => id)).size, 1)
})

test('notifications: by every way that is read slowly or not, each once and in order', { timeout }, async t => {
  const server = await guarded(t, { args: ['--outbox', '64KiB'] })
  const cutter = await cut(server, { t })
  const token = pass('ada', 'write')
  const numbersOf = (server, way) => {
    const heard = { way, numbers: [], inboxes: 0 }
    const take = (event, { body }) => { if (event === 'inbox') heard.inboxes++; else heard.numbers.push(body.n) }
    const transport = /^client (.*)$/.exec(way)?.[1]
    if (!transport) listen(server, '/v1/me/events', { t, token, way, heard: ({ event, data }) => take(event, data) })
    else {
      const { provider } = openQuire(server, 'a', { t, token, transports: [transport], provider: { notifications: true } })
      for (const event of ['inbox', 'notification']) provider.on(event, data => take(event, data))
    }
    return heard
  }
  const slow = ['sse', 'poll', 'client websocket', 'client sse', 'client poll'].map(way => numbersOf(cutter, way))
  const fast = ['sse', 'client websocket'].map(way => numbersOf(server, way))
  for (const listener of [...slow, ...fast]) await waitFor(() => listener.inboxes === 1, 10_000, () => `the inbox by ${listener.way}`)
  const text = 'x'.repeat(3_900)
  let count = 0
  const post = async (many, size = many) => {
    for (const end = count + many; count < end;) {
      await Promise.all(Array.from({ length: size }, async () => {
        const { status } = await admin(server, 'POST', '/v1/users/ada/notifications', { body: { n: count++, text } })
        assert.equal(status, 201)
      }))
    }
  }
  const has = async listener => {
    await waitFor(() => listener.numbers.length >= count, 20_000, () => `${count} by ${listener.way}, not ${listener.numbers.length}`)
    assert.equal(listener.numbers.length, count, listener.way)
    assert.equal(listener.inboxes, 1, listener.way)
  }
  cutter.throttle(RATE, 'down')
  await post(20)
  for (const listener of fast) await has(listener)
  cutter.stall('down')
  await post(280, 20)
  for (const listener of fast) await has(listener)
  assert.ok(slow.every(({ numbers }) => numbers.length < 100), slow.map(({ numbers }) => numbers.length).join())
  cutter.resume()
  await post(1)
  for (const listener of [...slow, ...fast]) await has(listener)
  for (const listener of [...slow, ...fast]) {
    // As they were stored, which is the same for all.
    assert.deepEqual(listener.numbers, fast[0].numbers, listener.way)
    assert.equal(new Set(listener.numbers).size, count)
  }
})
