// O-17 There is a high, documented limit; above it comes a coded refusal, once, and the room is unharmed.
//
// Fault: pasting a big file closed the socket without a reason; the client reconnected and resent it for ever.
// Long form: pastes up to 40 MB below the limit of 64 MiB, and one of 65 MB. Short form: up to 1 MB below a limit of 4 MiB, one of 5 MB.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClient, serverCopy, waitFor } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { settle } from './lib/room.mjs'
import { full, limit, size } from './lib/size.mjs'
import { quireTransports } from './lib/transports.mjs'

const MB = 1_000_000
const BELOW = size([0.1, 1, 10, 15.9, 16.1, 40], [0.1, 1])
const ABOVE = size(65, 5)
const ARGS = full ? [] : ['--max-message', '4MiB']

describe('O-17', { concurrency: false }, () => {
  for (const transport of quireTransports) {
    test(`O-17 pastes below the limit settle, one above it is refused once and harms nobody (${transport.name})`, limit(600_000, 60_000), async t => {
      const server = await start({ t, args: ARGS })
      for (const [i, megabytes] of BELOW.entries()) {
        const doc = `paste ${i}`
        const [a, b] = [transport.open(server, doc, { t }), openClient(server, doc, { t })]
        await Promise.all([a.waitSynced(), b.waitSynced()])
        a.text().insert(0, 'p'.repeat(megabytes * MB))
        await settle(server, doc, [a, b], { deadline: size(60_000, 15_000) })
        await a.waitConfirmed(60_000)
        assert.equal(a.connections, 1, a.events.join(' '))
        // A document of this size that arrives as the answer to the server's question, and one that is received.
        const late = transport.open(server, `${doc} again`, { t, doc: a.doc })
        await late.waitConfirmed(60_000)
        for (const client of [a, b, late]) client.provider.destroy()
      }
      const [a, b] = [transport.open(server, 'above', { t }), openClient(server, 'above', { t })]
      await Promise.all([a.waitSynced(), b.waitSynced()])
      a.text().insert(0, 'p'.repeat(ABOVE * MB))
      await waitFor(() => a.ended, size(60_000, 15_000), () => `the refusal: ${a.events.slice(-8).join(' ')}`)
      assert.equal(a.ended.code, 1009)
      assert.match(a.ended.reason, /larger|too/)
      assert.equal(a.provider.unconfirmed, 1)
      assert.equal(a.connections, 1)
      b.text().insert(0, 'unharmed')
      await waitFor(async () => (await serverCopy(server, 'above')).getText('text').toString() === 'unharmed', 5_000, 'the edit of the other')
      assert.equal(b.connections, 1)
      assert.deepEqual(server.panics(), [])
    })
  }
})
