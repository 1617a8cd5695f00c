// Whoever hears notifications and ends without a word, killed or cut off, finds what it had not acknowledged when it is back: once, in order, by every way.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { admin, guarded, pass } from './cases/lib/access.mjs'
import { waitFor } from './lib/client.mjs'
import { cut } from './lib/cutter.mjs'
import { listen } from './lib/listen.mjs'
import { openQuire } from './lib/quire.mjs'

const WAYS = ['stream', 'poll', 'client websocket', 'client sse', 'client poll']
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const tokenOf = user => pass(user, 'write')

/** Posts these, one behind the other; gives their ids. */
async function post (server, user, bodies) {
  const ids = []
  for (const body of bodies) {
    const response = await admin(server, 'POST', `/v1/users/${user}/notifications`, { body })
    assert.equal(response.status, 201)
    ids.push((await response.json()).id)
  }
  return ids
}

/** Someone who hears a user's notifications, behind `after`. */
function hear (server, user, way, t, after) {
  const heard = { way, inboxes: [], bodies: [] }
  const take = (event, data) => { if (event === 'inbox') heard.inboxes.push(data); else if (event === 'notification') heard.bodies.push(data.body) }
  const transport = /^client (.*)$/.exec(way)?.[1]
  if (transport) {
    const { provider } = openQuire(server, 'a', { t, token: tokenOf(user), transports: [transport], provider: { notifications: after ?? true } })
    for (const event of ['inbox', 'notification']) provider.on(event, data => take(event, data))
  } else {
    listen(server, '/v1/me/events', { t, token: tokenOf(user), way: way === 'stream' ? 'sse' : 'poll', after, heard: ({ event, data }) => take(event, data) })
  }
  return heard
}

/** The same in a process of its own, which can be killed. */
function hearElsewhere (server, user, way, t) {
  const heard = { way, inboxes: [], bodies: [] }
  heard.child = spawn(process.execPath, [fileURLToPath(new URL('./lib/hearer.mjs', import.meta.url)), server.url, tokenOf(user), way],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(() => heard.child.kill('SIGKILL'))
  heard.child.on('message', ({ event, data }) => { if (event === 'inbox') heard.inboxes.push(data); else heard.bodies.push(data.body) })
  return heard
}

const begun = listener => waitFor(() => listener.inboxes.length === 1, 15_000, () => `the inbox by ${listener.way}`)

/** Waits until these have come, and no others. */
async function has (listener, expected, inboxes) {
  await waitFor(() => listener.bodies.length >= expected.length, 20_000, () => `${expected}, not ${listener.bodies}, by ${listener.way}`)
  assert.deepEqual(listener.bodies, expected, listener.way)
  assert.deepEqual(listener.inboxes, inboxes, listener.way)
}

test('a tab that is killed finds what it had not read or not seen, and the other tabs notice nothing', { timeout: 90_000 }, async t => {
  const server = await guarded(t)
  const stranger = hear(server, 'bob', 'stream', t)
  await begun(stranger)
  const fresh = [{ reset: false }]
  await Promise.all(WAYS.map(async (way, i) => {
    const user = `ada-${i}`
    const others = ['stream', 'client websocket'].map(way => hear(server, user, way, t))
    const victim = hearElsewhere(server, user, way, t)
    await Promise.all([...others, victim].map(begun))
    const ids = await post(server, user, numbers(1, 3))
    await has(victim, numbers(1, 3), fresh)
    const read = await server.fetch('/v1/me/notifications/read',
      { method: 'POST', headers: { authorization: `Bearer ${tokenOf(user)}` }, body: JSON.stringify({ up_to: ids[1] }) })
    assert.equal(read.status, 200)
    // In the midst of more.
    const posting = post(server, user, numbers(4, 40))
    await waitFor(() => victim.bodies.length > 4, 10_000, 'the beginning of what comes')
    victim.child.kill('SIGKILL')
    await posting
    // It comes back twice: as one that has forgotten all, and as one that knows the last it has shown to somebody.
    const forgetful = hear(server, user, way, t)
    const knowing = hear(server, user, way, t, ids[2])
    await has(forgetful, numbers(3, 40), fresh)
    await has(knowing, numbers(4, 40), [])
    await post(server, user, [41])
    await has(forgetful, numbers(3, 41), fresh)
    await has(knowing, numbers(4, 41), [])
    for (const other of others) await has(other, numbers(1, 41), fresh)
  }))
  assert.deepEqual(stranger.bodies, [])
})

test('a tab whose connections are torn again and again goes on where it was, and the other tabs notice nothing', { timeout: 90_000 }, async t => {
  const server = await guarded(t)
  await Promise.all(WAYS.map(async (way, i) => {
    const user = `ada-${i}`
    const cutter = await cut(server, { t })
    const [torn, other] = [hear(cutter, user, way, t), hear(server, user, 'stream', t)]
    await Promise.all([torn, other].map(begun))
    for (const round of [0, 1, 2]) {
      const posting = post(server, user, numbers(round * 20 + 1, round * 20 + 20))
      await waitFor(() => torn.bodies.length > round * 20, 10_000, () => `the beginning of round ${round} by ${way}`)
      // Torn at once, and for a while; in one round after a part of an event has come.
      if (round === 1) {
        cutter.cutAfter(100)
        await post(server, user, [`torn ${round}`])
      }
      cutter.down()
      await posting
      cutter.resume()
      await waitFor(() => torn.bodies.length === other.bodies.length && torn.bodies.length >= round * 20 + 20, 20_000,
        () => `what was missed in round ${round} by ${way}: ${torn.bodies} and ${other.bodies}`)
    }
    assert.deepEqual(torn.bodies, other.bodies, way)
    assert.deepEqual(other.bodies.filter(body => typeof body === 'number'), numbers(1, 60))
    assert.deepEqual([torn.inboxes, other.inboxes], [[{ reset: false }], [{ reset: false }]], way)
  }))
})
