// O-17 A large paste is either taken or refused with a code; the room is unharmed and nobody loops.
//
// Fault: pasting a big file closed the socket without a reason; the client reconnected and resent it for ever.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { waitFor } from '../lib/client.mjs'
import { guarded, pass } from './lib/access.mjs'
import { full, limit } from './lib/size.mjs'
import { transports } from './lib/transports.mjs'

const MB = 1e6
const LIMIT = full ? 64 * 1024 * 1024 : 2 * 1024 * 1024
const BELOW = full ? [0.1, 1, 10, 15.9, 16.1, 40] : [0.1, 1, 1.9]
const ABOVE = full ? [68] : [2.5]

describe('O-17 large pastes', () => {
  for (const transport of transports) {
    test(`O-17 ${transport.name}`, limit(600_000, 120_000), async t => {
      const server = await guarded(t, { args: ['--max-message', String(LIMIT)] })
      const open = (user, options = {}) => transport.open(server, 'doc', { params: { token: pass(user, 'write') }, t, ...options })
      const peer = open('bob')
      await peer.waitSynced()
      for (const megabytes of BELOW) {
        const author = open('ada')
        await author.waitSynced()
        author.text(`paste ${megabytes}`).insert(0, 'x'.repeat(megabytes * MB))
        await author.waitConfirmed(15_000)
        await waitFor(() => peer.text(`paste ${megabytes}`).length === megabytes * MB, 15_000, `${megabytes} MB at the other`)
        author.destroy()
      }
      // Written while away, it arrives as the answer to the server's question.
      const away = open('ada', { connect: false })
      away.text('away').insert(0, 'y'.repeat(LIMIT * 0.45))
      away.connect()
      await away.waitConfirmed(30_000)
      away.destroy()
      for (const megabytes of ABOVE) {
        const author = open('ada')
        await author.waitSynced()
        const before = author.connections
        author.text('too large').insert(0, 'z'.repeat(megabytes * MB))
        await waitFor(() => author.closes.some(close => close?.code === 1009), 5_000, 'a refusal with 1009')
        await new Promise(resolve => setTimeout(resolve, full ? 60_000 : 6_000))
        const tries = author.closes.filter(close => close?.code === 1009).length
        assert.ok(tries < 10, `${tries} refusals after ${before} connections`)
        author.destroy()
      }
      assert.equal(peer.text('too large').length, 0)
      peer.text('after').insert(0, 'unharmed')
      await peer.waitConfirmed()
      assert.deepEqual(server.panics(), [])
    })
  }
})
