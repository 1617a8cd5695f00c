// Who types, and when it is over: over the WebSocket, as a stream and by long poll.
// Alone: that typing ends within 3 to 4 s.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guarded, pass } from './cases/lib/access.mjs'
import { waitFor } from './lib/client.mjs'
import { peopleOf } from './lib/listen.mjs'
import { everyWay, join, knows, typist } from './lib/people.mjs'
import { within } from './lib/wait.mjs'

test('typing is seen by everyone, goes out once a second and ends by itself', async t => {
  const server = await guarded(t)
  const listeners = everyWay(server, '/v1/docs/a/events', { t, token: pass('eve', 'read') })
  const [ada, bob] = [join(server, 'a', 'ada', { t }), join(server, 'a', 'bob', { t })]
  await knows(listeners, ['user:ada 1', 'user:bob 1'])
  let said = 0
  bob.awareness.on('change', (_, origin) => { if (origin !== 'local') said++ })
  const began = performance.now()
  const lasted = await waitFor(() => {
    ada.provider.setTyping()
    const passed = performance.now() - began
    return passed >= 1_500 && passed
  }, 10_000, 'one and a half seconds of typing', 15)
  assert.ok(said <= Math.ceil(lasted / 1_000) + 1, `${said} in ${lasted} ms`)
  for (const listener of listeners) {
    await listener.next('typing', ({ typing }) => typing)
    await listener.next('typing', ({ typing }) => !typing, { deadline: 5_000 })
    assert.equal(listener.of('typing').length, 2)
  }
  await waitFor(() => !bob.provider.people.some(({ isTyping }) => isTyping), 2_000, 'the end, over the WebSocket')
})

test('typing ends in 3 to 4 s everywhere when the tab that types is frozen, and the tab is gone a little later', async t => {
  const server = await guarded(t, { args: ['--keepalive', '1s'] })
  const bob = join(server, 'a', 'bob', { t })
  const over = { websocket: [], sse: [], poll: [] }
  bob.provider.on('typing', () => over.websocket.push({ typing: bob.provider.people.some(({ isTyping }) => isTyping), at: performance.now() }))
  const child = typist(t, server, 'a', pass('ada', 'write'))
  const listeners = everyWay(server, '/v1/docs/a/events', { t, token: pass('eve', 'read') })
  for (const listener of listeners) await listener.next('join', ({ person }) => person === 'user:ada')
  await bob.waitSynced()
  child.send('type')
  const [frozen] = await within(new Promise(resolve => child.once('message', (...all) => resolve(all))), 5_000, 'a sign of life')
  assert.equal(frozen, 'typed')
  for (const listener of listeners) await listener.next('typing', ({ typing }) => typing)
  await waitFor(() => over.websocket.some(({ typing }) => typing), 5_000, 'typing over the WebSocket')
  child.kill('SIGSTOP')
  for (const listener of listeners) {
    await listener.next('typing', ({ typing }) => !typing, { deadline: 6_000 })
    over[listener.way] = listener.of('typing').map(({ data, at }) => ({ typing: data.typing, at }))
  }
  await waitFor(() => over.websocket.at(-1).typing === false, 6_000, () => `the end over the WebSocket: ${JSON.stringify(over.websocket)} ${JSON.stringify(bob.provider.people)} ${bob.events.join(' ')}`)
  for (const [way, seen] of Object.entries(over)) {
    assert.deepEqual(seen.map(({ typing }) => typing), [true, false], way)
    const lasted = seen[1].at - seen[0].at
    t.diagnostic(`${way}: ${lasted.toFixed(0)} ms`)
    assert.ok(lasted >= 3_000 && lasted <= 4_000, `${way}: ${lasted} ms`)
  }
  // Nothing is heard of it for twice the keepalive and 5 s.
  await knows(listeners, ['user:bob 1'], 10_000)
  await waitFor(() => !bob.provider.people.some(({ user }) => user.id === 'ada'), 2_000, 'the same over the WebSocket')
})

test('who types while the server is killed is seen to type again after its return, and to stop when it dies', async t => {
  const server = await guarded(t)
  const listeners = everyWay(server, '/v1/docs/a/events', { t, token: pass('eve', 'read') })
  const bob = join(server, 'a', 'bob', { t })
  const child = typist(t, server, 'a', pass('ada', 'write'))
  const everywhere = (expected, deadline, label) => Promise.all([
    ...listeners.map(listener => waitFor(() => (peopleOf(listener).get('user:ada')?.typing ?? false) === expected, deadline, `${label} over ${listener.way}`)),
    waitFor(() => bob.provider.people.some(({ isTyping }) => isTyping) === expected, deadline, `${label} over the WebSocket`)
  ])
  await knows(listeners, ['user:ada 1', 'user:bob 1'])
  child.send('type')
  await everywhere(true, 5_000, 'typing')
  await server.restart()
  await everywhere(false, 10_000, 'the end of what was typed before')
  // All of them return by themselves.
  await knows(listeners, ['user:ada 1', 'user:bob 1'], 30_000)
  child.send('type')
  await everywhere(true, 10_000, 'typing after the return')
  // The client dies in the middle of a word.
  child.kill('SIGKILL')
  await everywhere(false, 5_000, 'the end')
  await knows(listeners, ['user:bob 1'], 10_000)
})
