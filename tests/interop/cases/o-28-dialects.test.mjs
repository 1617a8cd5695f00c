// O-28 and O-10 with the clients of Hocuspocus and y-sweet: a token that ends is replaced and everything goes on; nothing is applied before it is
// known who somebody is, and what was typed meanwhile is not lost.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, test } from 'node:test'
import * as Y from 'yjs'
import { openClient, RawClient, waitFor } from '../lib/client.mjs'
import * as hp from '../lib/hocuspocus-frames.mjs'
import { start } from '../lib/server.mjs'
import { guarded, now, pass, text } from './lib/access.mjs'
import { dialects } from './lib/dialects.mjs'
import { limit, size } from './lib/size.mjs'

describe('O-28', { concurrency: true }, () => {
  for (const dialect of dialects) {
    test(`O-28 ${dialect.name}: past the end of one token, with another`, limit(90_000, 60_000), async t => {
      const server = await guarded(t)
      let asked = 0
      // The first is taken for 5 s more, since clocks may differ.
      const token = () => pass('ada', 'write', { exp: now() + (asked++ === 0 ? size(15, -1) : 600) })
      const client = dialect.open(server, 'doc', { t, token })
      await client.waitSynced()
      client.text().insert(0, 'with the first ')
      await client.waitSaved()
      await waitFor(() => asked > 1, (size(15, 0) + 10) * 1000, 'a request for another')
      await waitFor(() => client.synced, 10_000, () => `the return of ${client.describe()}`)
      client.text().insert(0, 'with the second ')
      await client.waitSaved()
      assert.equal(await text(server, 'doc'), 'with the second with the first ')
      assert.ok(client.connections <= 2 && asked <= 4, `${client.connections} connections, ${asked} tokens`)
    })
  }

  test('O-28 Hocuspocus: a bad and then a good token, 100 times', limit(60_000, 60_000), async t => {
    const server = await guarded(t)
    const raw = await RawClient.connect(`${server.wsUrl}/`, { t })
    const count = kind => raw.received.filter(({ frame }) => hp.decode(frame).kind === kind).length
    for (let round = 1; round <= 100; round++) {
      await raw.send(hp.token(`doc ${round}`, 'nonsense', '4.8.0'))
      await raw.send(hp.token(`doc ${round}`, pass('ada', 'write'), '4.8.0'))
      await waitFor(() => count('authenticated') === round, 5_000, `the right in round ${round}`)
    }
    assert.equal(raw.closed, null)
  })
})

describe('O-10', () => {
  test('O-10 Hocuspocus: what is typed during a slow check is not lost, and 100 MB of it do not stay in memory', limit(120_000, 60_000), async t => {
    const application = createServer((request, response) => {
      request.resume()
      setTimeout(() => response.end(JSON.stringify({ sub: 'ada', docs: [{ prefix: '', access: 'write' }] })), 1_500)
    })
    await new Promise(resolve => application.listen(0, '127.0.0.1', resolve))
    t.after(() => application.close())
    const server = await start({ t, args: ['--auth-webhook', `http://127.0.0.1:${application.address().port}/who`] })
    const early = dialects[0].open(server, 'doc', { t, token: 'x' })
    early.text().insert(0, 'early')
    await early.waitSaved()
    const reader = openClient(server, 'doc', { t, params: { token: 'y' } })
    await reader.waitSynced()
    assert.equal(reader.text().toString(), 'early')
    const before = server.memory().rss
    const flood = await RawClient.connect(`${server.wsUrl}/`, { t })
    await flood.send(hp.token('flooded', 'z', '4.8.0'))
    const doc = new Y.Doc()
    doc.getText('text').insert(0, 'x'.repeat(1_000_000))
    const frame = hp.update('flooded', Y.encodeStateAsUpdate(doc))
    for (let i = 0; i < 100; i++) flood.send(frame).catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 1_000))
    assert.ok(server.memory().peak - before < 64 << 20, `the server grew by ${server.memory().peak - before} bytes`)
    flood.drop()
    assert.deepEqual(server.panics(), [])
  })
})
