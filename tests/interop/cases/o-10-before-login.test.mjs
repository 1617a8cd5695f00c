// O-10 Nothing is applied or answered before it is known who somebody is.
//
// Fault: while a slow login check was pending, typed edits were applied, and they stayed after the check failed.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, waitFor } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { start } from '../lib/server.mjs'
import { guarded, now, pass, text, withToken } from './lib/access.mjs'
import { confirmed } from './lib/room.mjs'
import { limit, size } from './lib/size.mjs'

const edit = mark => {
  const doc = new Y.Doc()
  doc.getText('text').insert(0, mark)
  return Y.encodeStateAsUpdate(doc)
}

/** A masked binary frame as a client writes it. */
function masked (payload) {
  const head = payload.length < 126 ? [0x82, 0x80 | payload.length] : [0x82, 0xfe, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload])
}

/** Sends a handshake and, without waiting for the answer, what `early` gives every 10 ms until the socket closes. */
function eager (server, path, early, most = 5_000) {
  return new Promise(resolve => {
    const socket = connect(server.port, '127.0.0.1')
    let received = Buffer.alloc(0)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
    const timer = setInterval(() => socket.write(early()), 10)
    const end = setTimeout(() => socket.destroy(), most)
    socket.on('data', data => { received = Buffer.concat([received, data]) })
    socket.on('error', () => {})
    socket.on('close', () => { clearInterval(timer); clearTimeout(end); resolve(received.toString('latin1')) })
  })
}

describe('O-10 before it is known who somebody is', () => {
  test('O-10 no, a bad and an expired token have no effect, whatever is sent along', limit(60_000, 60_000), async t => {
    const server = await guarded(t)
    const author = await RawClient.connect(withToken(server, 'doc', pass('ada', 'write')), { t })
    const secret = edit('the content')
    await author.send(frames.update(secret))
    await confirmed(author, secret)
    const expired = pass('eve', 'write', { exp: now() - 60 })
    for (const [why, token] of [['none', ''], ['bad', 'nonsense'], ['expired', expired], ['of another key', `${pass('eve', 'write')}x`]]) {
      const frame = Buffer.concat([masked(frames.update(edit('TOO EARLY'))), masked(frames.step1()),
        masked(frames.awareness([{ id: 66, clock: 1, state: { early: true } }]))])
      const answer = await eager(server, `/ws/doc?token=${token}`, () => frame, 1_000)
      assert.match(answer, /^HTTP\/1\.1 401 /, why)
      assert.ok(!answer.includes('the content'), why)
    }
    await author.fence()
    assert.equal(author.presence().size, 0)
    assert.equal(await text(server, 'doc'), 'the content')
  })

  test('O-10 what comes during a slow check is not lost, and 100 MB of it do not stay in memory', limit(120_000, 60_000), async t => {
    let asked = 0
    const application = createServer((request, response) => {
      asked++
      request.resume()
      setTimeout(() => response.end(JSON.stringify({ sub: 'ada', docs: [{ prefix: '', access: 'write' }] })), 1_500)
    })
    await new Promise(resolve => application.listen(0, '127.0.0.1', resolve))
    t.after(() => application.close())
    const server = await start({ t, args: ['--auth-webhook', `http://127.0.0.1:${application.address().port}/who`] })
    const early = masked(frames.update(edit('early')))
    let sent = 0
    const answer = await eager(server, '/ws/doc?token=x', () => sent++ === 0 ? early : Buffer.alloc(0), 4_000)
    assert.match(answer, /^HTTP\/1\.1 101 /)
    const reader = await RawClient.connect(`${server.wsUrl}/ws/doc?token=y`, { t })
    await waitFor(async () => {
      const doc = new Y.Doc()
      Y.applyUpdate(doc, await reader.read())
      return doc.getText('text').toString() === 'early'
    }, 10_000, 'the early edit')
    assert.ok(asked >= 2)

    const before = server.memory().rss
    const flood = Buffer.alloc(1 << 20, 1)
    await eager(server, '/ws/doc?token=z', () => flood, size(10_000, 1_400))
    assert.ok(server.memory().peak - before < 32 << 20, `the server grew by ${server.memory().peak - before} bytes`)
    assert.deepEqual(server.panics(), [])
  })
})
