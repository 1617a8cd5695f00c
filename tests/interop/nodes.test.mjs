// What several servers share beside documents: sessions over HTTP behind any balancer, notifications, revocations, the API.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { requestBalancer } from './lib/balancer.mjs'
import { SECRET, admin, pass } from './cases/lib/access.mjs'
import { never, openClient, waitFor } from './lib/client.mjs'
import { listen } from './lib/listen.mjs'
import { metric, nodes } from './lib/nodes.mjs'
import { openQuire } from './lib/quire.mjs'

const KEYS = { QUIRE_AUTH_SECRET: SECRET }

describe('several servers', { concurrency: true }, () => {
  for (const way of ['sse', 'poll']) {
    test(`a session over ${way} works though each of its requests comes to another server`, { timeout: 60_000 }, async t => {
      const { servers } = await nodes(t, 3)
      const front = await requestBalancer(t, servers)
      const writer = openClient(servers[0], 'balanced', { t })
      const client = openQuire(front, 'balanced', { t, transports: [way] })
      await Promise.all([writer.waitSynced(), client.waitSynced()])
      for (let round = 0; round < 10; round++) {
        writer.text().insert(0, `w${round} `)
        client.text().insert(0, `c${round} `)
        await waitFor(() => client.text().toString() === writer.text().toString(), 10_000, `round ${round} to be the same`)
      }
      assert.ok(front.requests() > 10)
      assert.equal(client.connections, 1, 'the session was never opened anew')
      // Its server dies: the client opens another one, and nothing is lost.
      writer.disconnect()
      const sessions = await waitFor(async () => {
        const counted = await Promise.all(servers.map(server => metric(server, 'sessions')))
        return counted.reduce((sum, one) => sum + one, 0) === 1 && counted
      }, 10_000, 'only its session to be there')
      const home = servers[sessions.indexOf(1)]
      await home.kill('SIGKILL')
      client.text().insert(0, 'after ')
      const rest = servers.filter(server => server !== home)
      const reader = openClient(rest[0], 'balanced', { t })
      await waitFor(() => reader.text().toString().includes('after '), 30_000, 'what was typed after its server had died')
    })
  }

  test('what is deleted at one server ends at the others; who is there, and what is there, is the same from any', { timeout: 60_000 }, async t => {
    const { servers: [one, other, third] } = await nodes(t, 3)
    const [a, b] = [openClient(one, 'shared', { t }), openClient(other, 'shared', { t })]
    await Promise.all([a.waitSynced(), b.waitSynced()])
    a.text().insert(0, 'hello')
    await b.waitEqual(a)
    a.awareness.setLocalStateField('user', { name: 'Ada' })
    const read = async (server, path) => (await fetch(`${server.url}/v1/docs/shared${path}`)).json()
    // At a server where nobody has it open.
    assert.equal((await read(third, '/content')).text, 'hello')
    await waitFor(async () => (await read(third, '/presence')).people.some(person => person.user?.name === 'Ada'), 5_000, 'Ada to be seen')
    const deleted = await fetch(`${other.url}/v1/docs/shared`, { method: 'DELETE' })
    assert.equal(deleted.status, 204)
    await waitFor(() => a.closes.some(close => close?.code === 4404) && b.closes.some(close => close?.code === 4404), 5_000,
      () => `both to be told: ${JSON.stringify([a.closes, b.closes])}`)
  })

  test('a notification reaches its user at any server at once, and what is read there is read here', { timeout: 60_000 }, async t => {
    const { servers: [one, other] } = await nodes(t, 2, { env: KEYS })
    const ada = pass('ada', undefined, { docs: [] })
    const tabs = [one, other].flatMap(server => ['sse', 'poll'].map(way => listen(server, '/v1/me/events', { t, token: ada, way })))
    for (const tab of tabs) await tab.next('inbox')
    for (const [number, server] of [one, other, one].entries()) {
      const posted = await admin(server, 'POST', '/v1/users/ada/notifications', { body: number })
      assert.equal(posted.status, 201)
      const { id } = await posted.json()
      for (const tab of tabs) {
        const { data } = await tab.next('notification', data => data.id === id, { deadline: 5_000 })
        assert.deepEqual([data.id, data.body], [id, number])
      }
      const read = await fetch(`${other.url}/v1/me/notifications/read`, {
        method: 'POST', headers: { authorization: `Bearer ${ada}` }, body: JSON.stringify({ ids: [id] })
      })
      assert.equal(read.status, 200)
      for (const tab of tabs) await tab.next('read', ({ ids }) => ids.join() === id, { deadline: 5_000 })
    }
  })

  test('what is revoked at one server ends at the others within ten seconds', { timeout: 60_000 }, async t => {
    const { servers: [one, other] } = await nodes(t, 2, { env: KEYS })
    const eve = openClient(other, 'team/plan', { t, params: { token: pass('eve', 'write') } })
    const ada = openClient(other, 'team/plan', { t, params: { token: pass('ada', 'write') } })
    await Promise.all([eve.waitSynced(), ada.waitSynced()])
    const revoked = await admin(one, 'POST', '/v1/admin/revoke', { user: 'eve' })
    assert.ok(revoked.ok, `${revoked.status}`)
    await waitFor(() => !eve.connected, 10_000, 'eve to be out')
    const again = openClient(other, 'team/plan', { t, params: { token: pass('eve', 'write') } })
    await never(() => again.connected, 1_000, 'eve is let in again')
    assert.ok(ada.connected)
  })
})
