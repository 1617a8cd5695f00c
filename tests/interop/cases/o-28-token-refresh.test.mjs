// O-28 A token that ran out is refused as such, without a hot loop; with a new one everything goes on.
//
// Fault: after a token ran out the client looped or gave up; offline edits were stuck; a good token after a bad one still failed.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RawClient, waitFor } from '../lib/client.mjs'
import { guarded, now, pass, text, withToken } from './lib/access.mjs'
import { limit, size } from './lib/size.mjs'
import { transports } from './lib/transports.mjs'

describe('O-28 tokens that run out', { concurrency: true }, () => {
  for (const transport of transports) {
    test(`O-28 ${transport.name}: past the end, away, and back with the old and a new token`, limit(180_000, 90_000), async t => {
      const server = await guarded(t)
      const lives = size(20, 2)
      const client = transport.open(server, 'doc', { params: { token: pass('ada', 'write', { exp: now() + lives }) }, t })
      await client.waitSynced()
      client.text().insert(0, 'while it holds ')
      await client.waitConfirmed()
      await waitFor(() => client.closes.some(close => close?.code === 4401), (lives + 15) * 1000, 'a close with 4401 when the token ends')
      client.disconnect()
      client.text().insert(0, 'while away ')
      await new Promise(resolve => setTimeout(resolve, size(60_000, 500)))

      const before = performance.now()
      const old = client.provider.params.token
      await assert.rejects(RawClient.connect(withToken(server, 'doc', old), { t }), { status: 401 })
      assert.ok(performance.now() - before < 2_000)
      const closes = client.closes.length
      client.connect()
      await new Promise(resolve => setTimeout(resolve, 5_000))
      assert.ok(client.closes.length - closes <= 8, `${client.closes.length - closes} tries in 5 s`)

      client.provider.params.token = pass('ada', 'write')
      client.disconnect()
      client.connect()
      await client.waitSynced()
      await client.waitConfirmed()
      const copy = await text(server, 'doc')
      assert.ok(copy.includes('while it holds') && copy.includes('while away'), copy)
      assert.deepEqual(server.panics(), [])
    })
  }

  test('O-28 a bad and then a good token, 100 times', limit(60_000, 60_000), async t => {
    const server = await guarded(t)
    for (let round = 0; round < 100; round++) {
      await assert.rejects(RawClient.connect(withToken(server, 'doc', 'nonsense'), { t }), { status: 401 })
      const raw = await RawClient.connect(withToken(server, 'doc', pass('ada', 'write')), { t })
      await raw.fence()
      raw.drop()
    }
    await assert.rejects(RawClient.connect(withToken(server, 'doc', pass('eve', 'write', { docs: [{ name: 'other', access: 'write' }] })), { t }), { status: 403 })
  })
})
