// Sessions over HTTP, request by request: cursors, numbers, repeats, rights, limits, ends.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawSession, messages, pack, readEvents } from './cases/lib/http-session.mjs'
import { RawClient, documentUrl, openClient, serverCopy, waitFor } from './lib/client.mjs'
import * as frames from './lib/frames.mjs'
import { openQuire } from './lib/quire.mjs'
import { start } from './lib/server.mjs'
import { token } from './lib/token.mjs'

function edit (text, clientId) {
  const doc = new Y.Doc()
  if (clientId) doc.clientID = clientId
  doc.getText('text').insert(0, text)
  return Y.encodeStateAsUpdate(doc)
}

const text = async (server, name, options) => (await serverCopy(server, name, options)).getText('text').toString()
const version = n => Uint8Array.of(102, 1, n)

test('an opening holds the question, the answer and who is there; polls and streams go on from its cursor', async t => {
  const server = await start({ t })
  const a = openClient(server, 'doc', { t })
  await a.waitSynced()
  a.text().insert(0, 'there')
  await a.waitConfirmed()
  const session = await RawSession.open(server, 'doc')
  assert.match(session.name, /^[0-9a-f]{32}$/)
  assert.equal(session.lease, 45_000)
  const first = messages(session.first.items)
  assert.ok(first.some(message => message.kind === 'step1'))
  const doc = new Y.Doc()
  Y.applyUpdate(doc, first.find(message => message.kind === 'step2').payload)
  assert.equal(doc.getText('text').toString(), 'there')

  a.text().insert(5, ' and here')
  const polled = await session.poll()
  assert.equal(polled.headers.get('cache-control'), 'no-store, no-transform')
  const news = messages(polled.items).filter(message => message.kind === 'update')
  for (const { payload } of news) Y.applyUpdate(doc, payload)
  assert.equal(doc.getText('text').toString(), 'there and here')

  a.text().insert(0, 'now ')
  const response = await session.events({ after: polled.cursor })
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  assert.equal(response.headers.get('x-accel-buffering'), 'no')
  assert.equal(response.headers.get('content-encoding'), null)
  const { events } = await readEvents(response, events => events.length > 0)
  Y.applyUpdate(doc, frames.decode(new Uint8Array(Buffer.from(events[0].data, 'base64')))[0].payload)
  assert.equal(doc.getText('text').toString(), 'now there and here')
  assert.equal((await session.leave()).status, 204)
  assert.deepEqual(await session.poll().then(({ status, code }) => [status, code]), [410, 'lost_session'])
})

test('what was not acknowledged is given again, to polls and to streams', async t => {
  const server = await start({ t })
  const session = await RawSession.open(server, 'doc')
  const a = openClient(server, 'doc', { t })
  await a.waitSynced()
  a.text().insert(0, 'x')
  const from = session.cursor
  const once = await session.poll(from)
  const again = await session.poll(from)
  assert.ok(once.items.length > 0)
  assert.deepEqual(again.items.slice(0, once.items.length), once.items)
  const { events } = await readEvents(await session.events({ id: from }), events => events.length >= once.items.length)
  assert.deepEqual(events.slice(0, once.items.length).map(event => [...Buffer.from(event.data, 'base64')]), once.items.map(item => [...item.bytes]))
  // Acknowledged, it is gone.
  await session.poll(once.cursor.replace(/\d+$/, String(Number(once.cursor.split('.')[1]) - 1)))
  assert.equal((await session.send([], { after: once.cursor })).status, 200)
  assert.equal((await session.poll(from)).status, 410)
})

test('a repeat of what was sent is harmless, a gap is told, pieces come together', async t => {
  const server = await start({ t })
  const session = await RawSession.open(server, 'doc')
  const updates = ['a', 'b', 'c'].map((letter, i) => frames.update(edit(letter, 100 + i)))
  const taken = async (items, options) => { const answer = await session.send(items, options); return answer.json?.received ?? [answer.status, answer.code] }
  assert.equal(await taken([updates[0]], { first: 2 }), 2)
  assert.equal(await taken([updates[0]], { first: 2 }), 2)
  assert.equal(await taken([updates[0], updates[1]], { first: 2 }), 3)
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => taken([updates[0], updates[1]], { first: 2 }))), [3, 3, 3], 'at once')
  const large = frames.update(edit('z'.repeat(1000), 200))
  assert.equal(await taken([{ bytes: large.subarray(0, 300), more: true }], { first: 4 }), 4)
  assert.equal(await taken([{ bytes: large.subarray(300, 301), more: true }, { bytes: large.subarray(301), more: false }, updates[2]], { first: 5 }), 7)
  assert.equal(await taken([], { first: 8 }), 7)
  const expected = 'a b c '.trim().split(' ').join('') + 'z'.repeat(1000)
  await waitFor(async () => [...await text(server, 'doc')].sort().join('') === [...expected].sort().join(''), 5_000, 'every edit, each once')
  assert.deepEqual(await taken([updates[2]], { first: 9 }), [410, 'lost_session'])
  assert.deepEqual(await taken([], { first: 8 }), [410, 'lost_session'], 'and the session is over')
})

test('O-27 a cursor that is garbage, of the future, of another session or from before a restart is 410, never a silent gap', async t => {
  const server = await start({ t })
  const other = await RawSession.open(server, 'doc')
  const bad = session => ({
    garbage: 'garbage',
    number: '1',
    future: session.cursor.replace(/\d+$/, '999999'),
    'of another session': other.cursor,
    'of another with this number': other.cursor.replace(/\d+$/, session.cursor.split('.')[1])
  })
  for (const way of ['events', 'header', 'poll', 'frames']) {
    for (const kind of Object.keys(bad(other))) {
      const session = await RawSession.open(server, 'doc')
      const cursor = bad(session)[kind]
      const status = await { events: async () => (await session.events({ after: cursor })).status,
        header: async () => (await session.events({ id: cursor })).status,
        poll: async () => (await session.poll(cursor)).status,
        frames: async () => (await session.send([], { after: cursor })).status }[way]()
      assert.equal(status, 410, `${way}, ${kind}`)
    }
  }
  const session = await RawSession.open(server, 'doc')
  await server.restart('SIGTERM')
  assert.deepEqual(await session.poll().then(({ status, code }) => [status, code]), [410, 'lost_session'])
  assert.equal((await session.events({ id: session.cursor })).status, 410)
  const elsewhere = await start({ t })
  session.server = elsewhere
  assert.equal((await session.poll()).status, 410, 'on another instance')
})

test('a version comes back when what was sent before is stored', async t => {
  const server = await start({ t, faults: ['store-delay=600ms'] })
  const session = await RawSession.open(server, 'doc')
  const sent = performance.now()
  await session.send([frames.step2(edit('x')), version(1)])
  const seen = []
  await waitFor(async () => {
    const { items } = await session.poll()
    seen.push(...items)
    return seen.some(item => item.bytes[0] === 102)
  }, 10_000, 'the version')
  assert.ok(performance.now() - sent >= 600)
  assert.deepEqual([...seen.find(item => item.bytes[0] === 102).bytes], [...version(1)])
  server.signal('SIGKILL')
  await server.exited()
  await server.restart()
  assert.equal(await text(server, 'doc'), 'x')
})

test('O-05 over HTTP a viewer receives and its edits are dropped, and nobody comes in without a right', async t => {
  const secret = 'a secret of at least thirty-two bytes!'
  const server = await start({ t, env: { QUIRE_AUTH_SECRET: secret } })
  const right = access => ({ authorization: `Bearer ${token(secret, { sub: access, docs: [{ name: 'doc', access }] })}` })
  const writer = await RawSession.open(server, 'doc', { headers: right('write') })
  const viewer = await RawSession.open(server, 'doc', { headers: right('read'), items: [frames.step1(), frames.step2(edit('opening'))] })
  await viewer.send([frames.update(edit('live')), frames.step2(edit('answer')), version(1)])
  await writer.send([frames.step2(edit('good')), version(1)])
  const seen = []
  await waitFor(async () => {
    seen.push(...messages((await viewer.poll()).items))
    return seen.some(message => message.kind === 'update') && (seen.some(message => message.kind === 'denied') || messages(viewer.first.items).some(message => message.kind === 'denied'))
  }, 10_000, 'the edit of the writer, and the word that its own were dropped')
  const params = { token: token(secret, { docs: [{ name: 'doc', access: 'read' }] }) }
  for (const when of ['now', 'after a restart']) {
    assert.equal(await text(server, 'doc', { params }), 'good', when)
    await server.restart('SIGTERM')
  }
  for (const [headers, status, code] of [[{}, 401, 'unauthorized'], [{ authorization: 'Bearer x' }, 401, 'unauthorized'],
    [{ authorization: `Bearer ${token(secret, { docs: [] })}` }, 403, 'forbidden']]) {
    await assert.rejects(RawSession.open(server, 'doc', { headers }), refused => refused.status === status && refused.code === code)
  }
  assert.ok(!server.logs().includes(writer.name) && !server.logs().includes(viewer.name), 'no name of a session is logged')
})

test('O-17 and O-21 over HTTP: what is too large or no message ends one session, and nobody else hears of it', async t => {
  const server = await start({ t, args: ['--max-message', '64KiB'] })
  const b = openClient(server, 'doc', { t })
  await b.waitSynced()
  const expectEnd = async (items, status, code) => {
    const session = await RawSession.open(server, 'doc')
    const answer = await session.send(items)
    assert.deepEqual([answer.status, answer.code], [status, code])
    assert.equal((await session.poll()).status, 410)
  }
  const large = frames.update(edit('x'.repeat(70_000)))
  await expectEnd([large], 413, 'too_large')
  await expectEnd([{ bytes: large.subarray(0, 40_000), more: true }, { bytes: large.subarray(40_000), more: false }], 413, 'too_large')
  await expectEnd([frames.update(new Uint8Array(100).fill(255))], 400, 'malformed')
  await expectEnd([Uint8Array.of(0, 9)], 400, 'malformed')
  const session = await RawSession.open(server, 'doc')
  for (const body of [[7, 1], [0], [255, 255, 255, 255, 255, 255, 255, 255, 255, 127]]) {
    const response = await fetch(`${session.url}/frames?first=2`, { method: 'POST', body: Uint8Array.from(body), headers: { 'content-type': 'application/octet-stream' } })
    assert.equal(response.status, 400, `${body}`)
  }
  const oversized = await fetch(`${session.url}/frames?first=2`, { method: 'POST', body: new Uint8Array(200_000), headers: { 'content-type': 'application/octet-stream' } })
  assert.equal(oversized.status, 413)
  assert.equal((await fetch(`${session.url}/frames?first=2`, { method: 'POST', body: pack([frames.step1()]), headers: { 'content-type': 'text/plain' } })).status, 415)
  assert.equal((await fetch(`${session.url}/frames?first=zero`, { method: 'POST', body: '', headers: { 'content-type': 'application/octet-stream' } })).status, 400)
  assert.equal((await fetch(`${session.url}/poll`, { method: 'POST' })).status, 405)
  assert.equal((await session.send([frames.update(edit('fine'))])).status, 200, 'a body that cannot be read costs that request')
  await waitFor(() => b.text().toString() === 'fine', 5_000, 'the edit at the other')
  assert.deepEqual(server.panics(), [])
  assert.equal(b.connections, 1)
})

test('pages of listed origins may open sessions, without cookies, and no others', async t => {
  const server = await start({ t, args: ['--allow-origin', 'https://listed.example'] })
  const ask = origin => fetch(`${server.url}/v1/docs/doc/sessions`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
  const response = await ask('https://listed.example')
  assert.equal(response.status, 204)
  assert.equal(response.headers.get('access-control-allow-origin'), 'https://listed.example')
  assert.match(response.headers.get('access-control-allow-headers'), /authorization.*content-type.*last-event-id/)
  assert.equal(response.headers.get('access-control-allow-credentials'), null)
  await assert.rejects(RawSession.open(server, 'doc', { headers: { origin: 'https://other.example' } }), refused => refused.status === 403)
  await RawSession.open(server, 'doc', { headers: { origin: 'https://listed.example' } })
})

test('a stream gets comments without an id, a poll ends after a while, and a silent session ends', async t => {
  const server = await start({ t, args: ['--keepalive', '1s'] })
  const session = await RawSession.open(server, 'doc')
  assert.equal(session.lease, 7_000)
  const { comments, events } = await readEvents(await session.events({ after: session.cursor }), (_events, comments) => comments.length >= 3)
  assert.ok(comments.length >= 3 && comments.every(comment => !comment.includes('id')))
  assert.deepEqual(events, [])
  const began = performance.now()
  const { status, items } = await session.poll()
  assert.deepEqual([status, items], [200, []])
  assert.ok(performance.now() - began >= 1_000)
  await waitFor(() => server.logs().includes('the session over HTTP ended'), 15_000, 'the end of the silent session')
  assert.equal((await session.poll()).status, 410)
})

test('presence: a session that ends, and one whose stream is cut, are gone for the others', async t => {
  const server = await start({ t, args: ['--keepalive', '2s'] })
  const b = openClient(server, 'doc', { t })
  await b.waitSynced()
  const here = { id: 7001, clock: 1, state: { user: 'left' } }
  const session = await RawSession.open(server, 'doc', { items: [frames.step1(), frames.awareness([here])] })
  await waitFor(() => b.others().has(7001), 5_000, 'presence of the session')
  const left = performance.now()
  await session.leave()
  await waitFor(() => !b.others().has(7001), 2_000, 'nobody after a clean end')
  assert.ok(performance.now() - left < 2_000)
  const cut = await RawSession.open(server, 'doc', { items: [frames.step1(), frames.awareness([{ ...here, id: 7002 }])] })
  await waitFor(() => b.others().has(7002), 5_000, 'presence of the second')
  const controller = new AbortController()
  await cut.events({ after: cut.cursor, signal: controller.signal })
  controller.abort()
  await waitFor(() => !b.others().has(7002), 5_000, 'nobody after a cut stream')
})

test('SIGTERM ends streams with a word and answers polls', async t => {
  const server = await start({ t })
  const [streaming, polling] = await Promise.all([RawSession.open(server, 'a'), RawSession.open(server, 'b')])
  const stream = readEvents(await streaming.events({ after: streaming.cursor }), events => events.some(event => event.event === 'close'))
  const poll = polling.poll()
  await new Promise(resolve => setTimeout(resolve, 200))
  const began = performance.now()
  const stopped = server.stop()
  const { events } = await stream
  assert.equal(JSON.parse(events.at(-1).data).code, 1012)
  assert.deepEqual(await poll.then(({ status, code }) => [status, code]), [503, 'restarting'])
  assert.equal((await stopped).code, 0)
  assert.ok(performance.now() - began < 4_000)
})

test('a frame of many items goes down in pieces, also over a WebSocket of the same dialect', async t => {
  const server = await start({ t })
  const session = await RawSession.open(server, 'doc')
  const large = edit('y'.repeat(700_000))
  const ws = await RawClient.connect(documentUrl(server, 'doc'), { t, protocols: ['quire-client'] })
  assert.equal(ws.ws.protocol, 'quire-client')
  await ws.step2(large)
  await ws.send(version(9))
  await waitFor(() => ws.received.some(({ frame }) => frame[0] === 102), 5_000, 'the version over the WebSocket')
  assert.ok(!ws.messages.some(message => message.kind === 'update'), 'its edit does not come back')
  const items = []
  await waitFor(async () => {
    items.push(...(await session.poll()).items)
    return items.length > 0 && !items.at(-1).more && messages(items).some(message => message.kind === 'update')
  }, 10_000, 'the large update')
  assert.ok(items.filter(item => item.more).length >= 2)
  const doc = new Y.Doc()
  Y.applyUpdate(doc, messages(items).find(message => message.kind === 'update').payload)
  assert.equal(doc.getText('text').length, 700_000)
})

test('very many small frames over a small outbox keep no client of a stream waiting until its next sign of life', { timeout: 60_000 }, async t => {
  const server = await start({ t, store: 'memory', args: ['--outbox', '64KiB'] })
  const client = openQuire(server, 'doc', { t, transports: ['sse'] })
  await client.waitSynced()
  const doc = new Y.Doc()
  const updates = []
  doc.on('update', update => updates.push(update))
  const raw = await RawClient.connect(documentUrl(server, 'doc'), { t })
  for (let n = 0; n < 8_000; n++) {
    doc.getText('text').insert(n, 'x')
    await raw.update(updates.pop())
    // The document has taken it when this is answered, so that it goes out as a frame of its own.
    await raw.send(frames.queryAwareness())
    while (!raw.messages.splice(0).some(({ kind }) => kind === 'awareness')) await new Promise(resolve => setImmediate(resolve))
    raw.received.length = 0
  }
  await client.waitEqual(doc)
  assert.deepEqual([client.provider.transport, client.connections], ['sse', 1])
})
