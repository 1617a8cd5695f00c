// O-22 Rights that are taken back, or lowered, end on live connections at once, with a code, and presence goes too.
//
// Fault: people whose access was removed kept editing for as long as their socket stayed open.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RawClient, waitFor } from '../lib/client.mjs'
import { admin, guarded, pass, text, withToken } from './lib/access.mjs'
import { limit } from './lib/size.mjs'
import { transports } from './lib/transports.mjs'

describe('O-22 rights taken back', () => {
  for (const transport of transports) {
    test(`O-22 ${transport.name}: taken back while typing`, limit(60_000, 60_000), async t => {
      const server = await guarded(t)
      const typist = transport.open(server, 'doc', { params: { token: pass('ada', 'write') }, t })
      const peer = transport.open(server, 'doc', { params: { token: pass('bob', 'write') }, t })
      await Promise.all([typist.waitSynced(), peer.waitSynced()])
      typist.awareness.setLocalStateField('user', { name: 'Ada' })
      let typed = 0
      const typing = setInterval(() => typist.text().insert(0, `${typed++} `), 100)
      t.after(() => clearInterval(typing))
      await waitFor(() => peer.text().length > 6 && peer.others().size === 1, 10_000, 'text and presence at the other')
      const answer = await admin(server, 'POST', '/v1/admin/revoke', { user: 'ada' })
      assert.deepEqual(await answer.json(), { connections: 1 })
      await waitFor(() => typist.closes.some(close => close?.code === 4401), 5_000, 'a close with 4401')
      const last = typed
      await waitFor(() => peer.others().size === 0, 5_000, 'the presence of who lost its rights to go')
      await waitFor(() => typed > last + 10, 5_000, 'more typing')
      const copy = await text(server, 'doc')
      assert.ok(!copy.includes(`${last + 5} `), copy)
      const closes = typist.closes.length
      await assert.rejects(RawClient.connect(withToken(server, 'doc', pass('ada', 'write')), { t }), { status: 401 })
      if (transport.name.includes('3.1')) assert.equal(typist.ended?.code, 4401)
      assert.ok(typist.closes.length - closes < 20, 'no storm')
      peer.text('still').insert(0, 'here')
      await peer.waitConfirmed()
    })

    test(`O-22 ${transport.name}: lowered while typing`, limit(60_000, 60_000), async t => {
      const server = await guarded(t)
      const typist = transport.open(server, 'doc', { params: { token: pass('ada', 'write') }, t })
      await typist.waitSynced()
      typist.text().insert(0, 'BEFORE')
      await typist.waitConfirmed()
      await admin(server, 'POST', '/v1/admin/revoke', { user: 'ada', document: 'doc', access: 'read' })
      typist.text().insert(0, 'AFTER')
      const author = transport.open(server, 'doc', { params: { token: pass('bob', 'write') }, t })
      await author.waitSynced()
      author.text().insert(0, 'OTHER')
      await waitFor(() => typist.text().toString().includes('OTHER'), 5_000, 'what others write, at the viewer')
      const copy = await text(server, 'doc')
      assert.ok(copy.includes('BEFORE') && copy.includes('OTHER') && !copy.includes('AFTER'), copy)
      assert.equal(typist.connections, 1)
    })
  }
})
