// O-05, O-22, O-32 with the clients of Hocuspocus and y-sweet: a viewer changes nothing, live or after having been away; rights that are
// taken back end while somebody types; presence works beside a flood of invented ids.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClient, RawClient, waitFor } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { admin, guarded, pass, text, withToken } from './lib/access.mjs'
import { dialects } from './lib/dialects.mjs'
import { limit, size } from './lib/size.mjs'

const MARK = 'BY THE VIEWER'

describe('O-05', { concurrency: true }, () => {
  for (const dialect of dialects) {
    test(`O-05 ${dialect.name}: live and after having been away`, limit(60_000, 60_000), async t => {
      const server = await guarded(t)
      const author = openClient(server, 'doc', { t, params: { token: pass('ada', 'write') } })
      const viewer = dialect.open(server, 'doc', { t, token: pass('vi', 'read') })
      await Promise.all([author.waitSynced(), viewer.waitSynced()])
      viewer.text().insert(0, `${MARK} live `)
      author.text().insert(0, 'one ')
      await waitFor(() => viewer.text().toString().includes('one '), 10_000, 'the edit of the author at the viewer')
      viewer.drop()
      viewer.text().insert(0, `${MARK} away `)
      author.text().insert(0, 'two ')
      await author.waitConfirmed()
      await waitFor(() => viewer.connections > 1 && viewer.text().toString().includes('two '), 20_000, () => `what was missed: ${viewer.describe()}`)
      author.text().insert(0, 'three ')
      await author.waitConfirmed()
      await waitFor(() => viewer.text().toString().includes('three '), 10_000, 'a later edit at the viewer')
      assert.ok(!viewer.saved, 'what was not taken shows as saved')
      for (const copy of [await text(server, 'doc'), author.text().toString()]) assert.ok(copy.includes('three ') && !copy.includes(MARK), copy)
      assert.deepEqual(server.panics(), [])
    })
  }
})

describe('O-22', { concurrency: true }, () => {
  for (const dialect of dialects) {
    test(`O-22 ${dialect.name}: taken back while typing`, limit(60_000, 60_000), async t => {
      const server = await guarded(t)
      const typist = dialect.open(server, 'doc', { t, token: pass('ada', 'write') })
      const peer = openClient(server, 'doc', { t, params: { token: pass('bob', 'write') } })
      await Promise.all([typist.waitSynced(), peer.waitSynced()])
      typist.awareness.setLocalStateField('user', { name: 'Ada' })
      let typed = 0
      const typing = setInterval(() => typist.text().insert(0, `${typed++} `), 100)
      t.after(() => clearInterval(typing))
      await waitFor(() => peer.text().length > 6 && peer.others().size === 1, 10_000, 'text and presence at the other')
      assert.deepEqual(await (await admin(server, 'POST', '/v1/admin/revoke', { user: 'ada' })).json(), { connections: 1 })
      await waitFor(() => peer.others().size === 0, 5_000, 'the presence of who lost its rights to go')
      const last = typed
      await waitFor(() => typed > last + 10, 5_000, 'more typing')
      const copy = await text(server, 'doc')
      assert.ok(!copy.includes(`${last + 5} `), copy)
      assert.ok(!typist.saved, 'what was not taken shows as saved')
      // A refused provider asks again with its token, at most once a second.
      assert.ok(typist.connections < 8, `${typist.connections} connections`)
      peer.text('still').insert(0, 'here')
      await peer.waitConfirmed()
    })

    test(`O-22 ${dialect.name}: lowered while typing`, limit(60_000, 60_000), async t => {
      const server = await guarded(t)
      const typist = dialect.open(server, 'doc', { t, token: pass('ada', 'write') })
      await typist.waitSynced()
      typist.text().insert(0, 'BEFORE')
      await typist.waitSaved()
      await admin(server, 'POST', '/v1/admin/revoke', { user: 'ada', document: 'doc', access: 'read' })
      typist.text().insert(0, 'AFTER')
      const author = openClient(server, 'doc', { t, params: { token: pass('bob', 'write') } })
      await author.waitSynced()
      author.text().insert(0, 'OTHER')
      await waitFor(() => typist.text().toString().includes('OTHER'), 5_000, 'what others write, at the viewer')
      const copy = await text(server, 'doc')
      assert.ok(copy.includes('BEFORE') && copy.includes('OTHER') && !copy.includes('AFTER'), copy)
      assert.equal(typist.connections, 1)
    })
  }
})

describe('O-32', { concurrency: true }, () => {
  for (const dialect of [dialects[0], dialects[3]]) {
    test(`O-32 ${dialect.name} beside a flood`, limit(180_000, 60_000), async t => {
      const server = await guarded(t)
      const [a, b] = ['ada', 'bob'].map(user => dialect.open(server, 'doc', { t, token: pass(user, 'write') }))
      await Promise.all([a.waitSynced(), b.waitSynced()])
      a.awareness.setLocalStateField('cursor', 0)
      await waitFor(() => b.awareness.getStates().get(a.clientId)?.cursor === 0, 10_000, 'presence before')
      const before = server.memory().rss
      const flood = await RawClient.connect(withToken(server, 'doc', pass('eve', 'write')), { t })
      for (let i = 0; i < size(2_000, 60); i++) {
        await flood.send(frames.awareness(Array.from({ length: 500 }, (_, k) => ({ id: 1_000_000 + i * 500 + k, clock: 1, state: i % 2 ? { pad: 'x'.repeat(1_000) } : {} }))))
      }
      await flood.fence(60_000)
      assert.ok(server.memory().rss - before < 50 << 20, `grew by ${server.memory().rss - before} bytes`)
      a.awareness.setLocalStateField('cursor', 42)
      await waitFor(() => b.awareness.getStates().get(a.clientId)?.cursor === 42, 10_000, 'presence beside the flood')
      flood.drop()
      await waitFor(() => b.others().size === 1, 60_000, 'what was invented to go')
      assert.equal(a.connections + b.connections, 2)
    })
  }
})
