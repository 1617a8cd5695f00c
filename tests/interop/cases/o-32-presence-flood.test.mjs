// O-32 Invented client numbers fill no memory, real presence works beside them, and they go with who brought them.
//
// Fault: invented client numbers with empty state were kept for ever, bypassing the byte cap, until memory ran out.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RawClient, waitFor } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { guarded, pass, withToken } from './lib/access.mjs'
import { limit, size } from './lib/size.mjs'
import { transports } from './lib/transports.mjs'

const FRAMES = size(2_000, 400)

describe('O-32 floods of presence', () => {
  for (const transport of transports) {
    test(`O-32 ${transport.name} beside a flood`, limit(180_000, 90_000), async t => {
      const server = await guarded(t)
      const [a, b] = ['ada', 'bob'].map(user => transport.open(server, 'doc', { params: { token: pass(user, 'write') }, t }))
      await Promise.all([a.waitSynced(), b.waitSynced()])
      a.awareness.setLocalStateField('cursor', 0)
      await waitFor(() => b.others().size === 1, 10_000, 'presence before')
      const before = server.memory().rss
      const flood = await RawClient.connect(withToken(server, 'doc', pass('eve', 'write')), { t })
      for (let i = 0; i < FRAMES; i++) {
        const state = i % 2 === 0 ? {} : { pad: 'x'.repeat(1_000) }
        await flood.send(frames.awareness(Array.from({ length: 500 }, (_, k) => ({ id: 1_000_000 + i * 500 + k, clock: 1, state }))))
      }
      await flood.fence(60_000)
      assert.ok(server.memory().rss - before < 50 << 20, `grew by ${server.memory().rss - before} bytes`)
      a.awareness.setLocalStateField('cursor', 42)
      await waitFor(() => b.awareness.getStates().get(a.clientId)?.cursor === 42, 10_000, 'presence beside the flood')
      assert.ok(b.others().size <= 1 + 16, `${b.others().size} are present`)
      flood.drop()
      await waitFor(() => b.others().size === 1, 60_000, 'what was invented to go')

      const large = await RawClient.connect(withToken(server, 'doc', pass('eve', 'write')), { t })
      await large.send(frames.awareness([{ id: 7, clock: 1, state: { pad: 'x'.repeat(65 * 1024) } }]))
      await large.whenClosed()
      assert.equal(large.closed.code, 1009)
      assert.deepEqual(server.panics(), [])
    })
  }
})
