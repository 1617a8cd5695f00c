// O-17 and O-30 with the clients of Hocuspocus and y-sweet: pastes below the limit are saved and one above it harms nobody; a name is the same
// document by every dialect.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { never, openClient, waitFor } from '../lib/client.mjs'
import { guarded, pass, text } from './lib/access.mjs'
import { dialects } from './lib/dialects.mjs'
import { full, limit } from './lib/size.mjs'

const MB = 1e6
const LIMIT = full ? 64 * 1024 * 1024 : 2 * 1024 * 1024
const BELOW = full ? [0.1, 1, 10, 15.9, 16.1, 40] : [0.1, 1.5]
const ABOVE = full ? 68 : 2.5

describe('O-17', { concurrency: true }, () => {
  for (const dialect of dialects) {
    test(`O-17 ${dialect.name}: large pastes`, limit(600_000, 60_000), async t => {
      const server = await guarded(t, { args: ['--max-message', String(LIMIT)] })
      const peer = openClient(server, 'doc', { t, params: { token: pass('bob', 'write') } })
      await peer.waitSynced()
      const author = dialect.open(server, 'doc', { t, token: pass('ada', 'write') })
      await author.waitSynced()
      for (const megabytes of BELOW) {
        author.text(`paste ${megabytes}`).insert(0, 'x'.repeat(megabytes * MB))
        await author.waitSaved(30_000)
        await waitFor(() => peer.text(`paste ${megabytes}`).length === megabytes * MB, 15_000, `${megabytes} MB at the other`)
      }
      assert.equal(author.connections, 1)
      author.text('too large').insert(0, 'z'.repeat(ABOVE * MB))
      await waitFor(() => server.logLines().some(line => line.includes('1009')), 5_000, 'a refusal with 1009')
      await never(() => author.connections >= 10, full ? 60_000 : 4_000, 'a storm of connections')
      assert.ok(!author.saved, 'what was not taken shows as saved')
      assert.equal(peer.text('too large').length, 0)
      peer.text('after').insert(0, 'unharmed')
      await peer.waitConfirmed()
      assert.deepEqual(server.panics(), [])
    })
  }
})

describe('O-30', () => {
  test('O-30 a name is one document by every dialect', limit(60_000, 60_000), async t => {
    const server = await guarded(t)
    for (const name of ['a/b', 'a b', 'a+b', 'r\u00e4um-\u2602', 'a?x', 'A', 'a', 'hocuspocus', 'v1/docs']) {
      for (const [i, dialect] of dialects.entries()) {
        const client = dialect.open(server, name, { t, token: pass('ada', 'write') })
        await client.waitSynced()
        client.text().insert(client.text().length, `${i}.`)
        await client.waitSaved()
        client.destroy()
      }
      assert.equal(await text(server, name), '0.1.2.3.', name)
    }
  })
})
