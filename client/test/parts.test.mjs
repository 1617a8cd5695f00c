// The parts of the provider, each by itself.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, encodeName } from '../dist/address.js'
import { Backoff } from '../dist/backoff.js'
import { Choice } from '../dist/choice.js'
import { Confirmations } from '../dist/confirmations.js'
import { endOf, isFinal } from '../dist/ends.js'
import { Assembler, ITEM_BYTES, pack, split, unpack, unpackOpening } from '../dist/items.js'
import { Upstream } from '../dist/links/upstream.js'
import { StreamParser } from '../dist/stream.js'
import { subject } from '../dist/tabs.js'
import { Watch } from '../dist/watch.js'
import { memory, world } from './world.mjs'

test('names of documents become one segment of the path, and what cannot is refused', () => {
  for (const [name, encoded] of [['a', 'a'], ['a/b', 'a%2Fb'], ['a b', 'a%20b'], ['a?b#c', 'a%3Fb%23c'], ['a%2Fb', 'a%252Fb'],
    ['r\u00e4um-\u2602', 'r%C3%A4um-%E2%98%82'], ['...', '...'], ['../x', '..%2Fx']]) {
    assert.equal(encodeName(name), encoded)
  }
  for (const name of ['', '.', '..', 'a\u0000', 'a\n', 'x'.repeat(256), '\u00e4'.repeat(128), '\ud800']) {
    assert.throws(() => encodeName(name), TypeError, JSON.stringify(name))
  }
})

test('one address of the server gives all of its addresses', () => {
  for (const server of ['ws://host:1234', 'http://host:1234/', 'http://host:1234//']) {
    const { socket, sessions, session } = address(server, 'a/b')
    assert.equal(socket, 'ws://host:1234/ws/a%2Fb')
    assert.equal(sessions, 'http://host:1234/v1/docs/a%2Fb/sessions')
    assert.equal(session('x'), 'http://host:1234/v1/sessions/x')
  }
  assert.equal(address('wss://host/quire/', 'a').sessions, 'https://host/quire/v1/docs/a/sessions')
  assert.equal(address('/quire', 'a', 'https://host/page?x#y').socket, 'wss://host/quire/ws/a')
  assert.throws(() => address('ftp://host', 'a'), TypeError)
  assert.throws(() => address('/quire', 'a'), TypeError)
})

test('waits grow and are spread over the whole window', () => {
  const draws = Array.from({ length: 200 }, (_, i) => (i * 0.618034) % 1)
  const first = draws.map(draw => {
    const backoff = new Backoff(() => draw)
    backoff.widen()
    return backoff.next()
  }).sort((a, b) => a - b)
  // 200 clients of a server that restarts: in no tenth of the window do more than 30 come back.
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = first.filter(wait => wait >= tenth * 200 && wait < (tenth + 1) * 200).length
    assert.ok(count >= 10 && count <= 30, `${count} in tenth ${tenth}`)
  }
  const backoff = new Backoff(() => 1)
  const waits = Array.from({ length: 9 }, () => backoff.next())
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  backoff.reset()
  assert.equal(backoff.next(5000), 5500)
})

test('frames are cut into items and come together again', () => {
  const frame = Uint8Array.from({ length: ITEM_BYTES * 2 + 5 }, (_, i) => i % 251)
  const items = split(frame)
  assert.deepEqual(items.map(item => [item.bytes.length, item.more]), [[ITEM_BYTES, true], [ITEM_BYTES, true], [5, false]])
  const assembler = new Assembler()
  const whole = items.map(item => assembler.add(item))
  assert.deepEqual(whole.map(frame => frame?.length), [undefined, undefined, frame.length])
  assert.deepEqual(whole[2], frame)
  assert.deepEqual(assembler.add({ bytes: Uint8Array.of(7), more: false }), Uint8Array.of(7))

  const body = pack([{ bytes: Uint8Array.of(1, 2), more: true }, { bytes: Uint8Array.of(3), more: false }])
  assert.deepEqual([...body], [5, 1, 2, 2, 3])
  const delivery = unpack(Uint8Array.of(3, 97, 46, 49, ...body))
  assert.equal(delivery.cursor, 'a.1')
  assert.deepEqual(delivery.items.map(item => [[...item.bytes], item.more]), [[[1, 2], true], [[3], false]])
  assert.deepEqual(unpackOpening(Uint8Array.of(1, 120, 200, 1, 0)), { session: 'x', lease: 200, delivery: { cursor: '', items: [] } })
})

test('events are read however the stream is cut', () => {
  const text = ': hello\n\nevent: part\nid: ab.1\ndata: AA==\n\n:\n\nid: ab.2\r\ndata: AQ==\r\n\r\nevent: close\ndata: {"code":1012}\n\n'
  const expected = [
    { id: 'ab.1', event: 'part', data: 'AA==' },
    { id: 'ab.2', event: '', data: 'AQ==' },
    { id: '', event: 'close', data: '{"code":1012}' }
  ]
  const bytes = new TextEncoder().encode(text)
  for (let size = 1; size <= bytes.length; size++) {
    const parser = new StreamParser()
    const events = []
    for (let at = 0; at < bytes.length; at += size) events.push(...parser.push(bytes.subarray(at, at + size)))
    assert.deepEqual(events, expected, `pieces of ${size}`)
  }
})

test('a count that comes back covers what was made before it was asked, on its connection only', () => {
  const confirmations = new Confirmations(1)
  assert.equal(confirmations.open, 1)
  assert.equal(confirmations.ask(), 1)
  confirmations.made()
  assert.equal(confirmations.ask(), undefined, 'one question at a time')
  confirmations.confirmed(7)
  assert.equal(confirmations.open, 2, 'never asked')
  confirmations.confirmed(1)
  assert.equal(confirmations.open, 1)
  assert.equal(confirmations.ask(), 2)
  confirmations.restart()
  confirmations.confirmed(2)
  assert.equal(confirmations.open, 1, 'asked on an earlier connection')
  assert.equal(confirmations.ask(), 2)
  confirmations.confirmed(2)
  assert.equal(confirmations.open, 0)
  assert.equal(confirmations.ask(), undefined, 'nothing to ask for')
})

test('what the server has not confirmed to have is sent again, presence only as its newest', () => {
  const upstream = new Upstream()
  const bytes = batch => batch.items.map(item => item.bytes[0])
  for (const n of [1, 2]) upstream.add(Uint8Array.of(n), 'edit')
  for (const n of [101, 102]) upstream.add(Uint8Array.of(n), 'presence')
  let batch = upstream.batch()
  assert.deepEqual([batch.first, bytes(batch)], [1, [1, 2, 102]])
  upstream.add(Uint8Array.of(3), 'edit')
  batch = upstream.batch()
  assert.deepEqual([batch.first, bytes(batch)], [1, [1, 2, 102, 3]])
  upstream.received(2)
  batch = upstream.batch()
  assert.deepEqual([batch.first, bytes(batch)], [3, [102, 3]])
  upstream.received(4)
  assert.equal(upstream.hasWork, false)
  upstream.add(Uint8Array.of(9), 'renewal')
  assert.deepEqual([upstream.hasWork, upstream.hasRenewal], [false, true])
  assert.deepEqual(bytes(upstream.batch()), [9])
  upstream.received(100)
  upstream.add(new Uint8Array(5 * ITEM_BYTES), 'edit')
  batch = upstream.batch()
  assert.deepEqual([batch.first, batch.items.length], [6, 2])
})

test('ways are tried best first, what worked is remembered, and the better one is tried again', () => {
  const storage = memory()
  const { environment } = world({ fetch: () => {}, storage })
  const all = ['websocket', 'sse', 'poll']
  const choice = new Choice(environment, 'http://host', all)
  assert.deepEqual(choice.plan(), [{ transport: 'websocket', after: 0 }, { transport: 'sse', after: 1000 }])
  choice.worked('poll')
  assert.deepEqual(choice.plan(), [{ transport: 'poll', after: 0 }])
  assert.deepEqual(new Choice(environment, 'http://host', all).plan(), [{ transport: 'poll', after: 0 }], 'also by another page')
  assert.equal(new Choice(environment, 'http://other', all).plan()[0].transport, 'websocket')
  const waits = Array.from({ length: 8 }, () => choice.better('poll'))
  assert.deepEqual(waits.slice(0, 3), [15_000, 30_000, 60_000])
  assert.equal(waits.at(-1), 600_000)
  choice.moved()
  assert.equal(choice.better('sse'), 15_000)
  choice.failed()
  assert.equal(choice.plan()[0].transport, 'websocket')
  choice.worked('websocket')
  assert.equal(choice.better('websocket'), undefined)
  assert.equal(new Choice(environment, 'http://host', ['sse']).better('sse'), undefined, 'not allowed')
  assert.deepEqual(new Choice(world({ socket: null, fetch: () => {} }).environment, 'x', all).plan(), [{ transport: 'sse', after: 0 }])
  assert.throws(() => new Choice(world({ socket: null }).environment, 'x', all), TypeError)
})

test('ends of HTTP mean what the close codes mean, and answers of proxies are no word of the server', async () => {
  const answer = (status, code, headers) => new Response(code === undefined ? '<html>' : JSON.stringify({ error: { code, message: 'why' } }), { status, headers })
  for (const [response, code, final] of [
    [answer(401, 'unauthorized'), 4401, false], [answer(403, 'forbidden'), 4403, true], [answer(400, 'bad_document_name'), 4400, true],
    [answer(410, 'lost_session'), 4410, false], [answer(410, 'deleted'), 4404, true], [answer(404, 'unknown_document'), 4404, true],
    [answer(404, 'not_found'), 1006, false], [answer(413, 'too_large'), 1009, true], [answer(503, 'restarting'), 1012, false],
    [answer(503, 'too_many_connections'), 1013, false], [answer(429, 'too_many'), 1013, false], [answer(400, 'malformed'), 1002, false],
    [answer(403), 1006, false], [answer(413), 1006, false], [answer(502), 1006, false], [answer(503), 1013, false]
  ]) {
    const end = await endOf(response)
    assert.deepEqual([end.code, isFinal(end)], [code, final], `${response.status}`)
  }
  assert.equal((await endOf(answer(503, 'busy', { 'retry-after': '2' }))).retryAfter, 2000)
  assert.equal((await endOf(answer(429, undefined, { 'retry-after': '99999' }))).retryAfter, 300_000)
  for (const code of [1000, 1001, 1006, 1012, 4205, 4408, 4500]) assert.equal(isFinal({ code, reason: '' }), false, `${code}`)
})

test('a dead line is noticed within 45 s, one that was used within 20, a jump of time at once', async () => {
  const run = async (script) => {
    const w = world()
    const seen = []
    const watch = new Watch(w.environment, { ask: () => seen.push(['ask', w.now]), dead: () => seen.push(['dead', w.now]), woke: () => seen.push(['woke', w.now]) })
    watch.start()
    watch.connected()
    const start = w.now
    await script(w, watch)
    watch.stop()
    assert.equal(w.timers.size, 0)
    return seen.map(([what, at]) => [what, at - start])
  }
  assert.deepEqual(await run(async w => w.pass(60_000)), [['dead', 36_000]])
  const used = await run(async (w, watch) => { watch.sent(); await w.pass(60_000) })
  assert.deepEqual(used.map(([what]) => what), ['ask', 'dead'])
  assert.ok(used[1][1] <= 20_000, JSON.stringify(used))
  assert.deepEqual(await run(async (w, watch) => {
    for (let i = 0; i < 10; i++) { await w.pass(20_000); watch.heard() }
  }), [])
  const slept = await run(async w => w.pass(3_600_000, { frozen: true }))
  assert.deepEqual(slept.map(([what]) => what), ['dead', 'woke'])
  const napped = await run(async (w, watch) => { await w.pass(16_000, { frozen: true }); watch.doubt(); await w.pass(1_000); watch.heard(); await w.pass(10_000) })
  assert.deepEqual(napped.map(([what]) => what), ['woke', 'ask'])
})

test('whose a token is', () => {
  const token = claims => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`
  assert.equal(subject(token({ sub: 'ann?>~' })), 'ann?>~')
  for (const none of ['', 'opaque', token({}), token({ sub: 7 }), 'a.b.c']) assert.equal(subject(none), undefined)
})
