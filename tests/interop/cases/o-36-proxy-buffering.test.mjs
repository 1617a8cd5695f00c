// O-36 Events pass a proxy one by one, and are not compressed, cached or changed on the way.
//
// Fault: the proxy held events until its buffer filled.
// A real nginx with its defaults. Long form: edits for 60 s. Short form: for 4 s.
// Alone: that events come within a second.

import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { openClient, waitFor } from '../lib/client.mjs'
import { openQuire } from '../lib/quire.mjs'
import { start } from '../lib/server.mjs'
import { RawSession, readEvents } from './lib/http-session.mjs'
import { nginx } from './lib/nginx.mjs'
import { settle } from './lib/room.mjs'
import { limit, size } from './lib/size.mjs'

const LASTS = size(60_000, 4_000)

test('O-36 through nginx with its defaults every event comes within a second, by HTTP/1.1 and HTTP/2', limit(150_000, 60_000), async t => {
  const server = await start({ t })
  const proxy = await nginx(server, { t })
  const author = openClient(server, 'doc', { t })
  await author.waitSynced()

  const over1 = await RawSession.open(proxy, 'doc')
  const began = performance.now()
  const response = await over1.events({ after: over1.cursor })
  for (const [name, value] of [['content-type', 'text/event-stream; charset=utf-8'], ['cache-control', 'no-store, no-transform'], ['content-encoding', null]]) {
    assert.equal(response.headers.get(name), value)
  }
  const direct = await RawSession.open(server, 'doc')
  assert.equal((await direct.events({ after: direct.cursor })).headers.get('x-accel-buffering'), 'no')
  let first
  const reading = readEvents(response, (_events, comments) => {
    if (comments.length > 0) first ??= performance.now() - began
    return performance.now() - began > LASTS
  }, LASTS + 10_000)

  // The same by HTTP/2.
  const over2 = await RawSession.open(proxy, 'doc')
  const http2 = connect(`http://127.0.0.1:${proxy.port2}`)
  t.after(() => http2.destroy())
  const stream = http2.request({ ':path': `/v1/sessions/${over2.name}/events?after=${over2.cursor}` })
  // The proxy ends before its stream does.
  stream.on('error', () => {})
  const arrivals2 = []
  stream.on('data', data => { if (String(data).includes('\ndata: ')) arrivals2.push(performance.now()) })

  const sent = []
  while (performance.now() - began < LASTS) {
    sent.push(performance.now())
    author.text().insert(0, 'x')
    await new Promise(resolve => setTimeout(resolve, 500))
  }
  author.text().insert(0, 'the end')
  const { events } = await reading
  await waitFor(() => arrivals2.length >= sent.length, 5_000, 'all events by HTTP/2')
  const delay = arrivals => Math.max(...sent.map((at, i) => arrivals[i] - at))
  const [slowest1, slowest2] = [delay(events.filter(event => event.data).map(event => event.at)), delay(arrivals2)]
  t.diagnostic(`first byte after ${first.toFixed(0)} ms, slowest event ${slowest1.toFixed(0)} ms by HTTP/1.1, ${slowest2.toFixed(0)} ms by HTTP/2`)
  assert.ok(first < 1_000 && slowest1 < 1_000 && slowest2 < 1_000)
})

test('O-36 through an nginx that knows nothing of WebSockets the package works over SSE, with a document larger than its bodies may be', limit(60_000, 60_000), async t => {
  const server = await start({ t })
  const proxy = await nginx(server, { t })
  const a = openQuire(proxy, 'doc', { t })
  await a.waitSynced()
  await waitFor(() => a.provider.transport === 'sse', 5_000, () => `SSE: ${a.events.join(' ')}`)
  const b = openClient(server, 'doc', { t })
  await b.waitSynced()
  a.text().insert(0, 'y'.repeat(3_000_000))
  b.text().insert(0, 'from the other side')
  await settle(server, 'doc', [a, b], { deadline: 20_000 })
  await a.waitConfirmed()
  assert.equal(a.connections, 1, a.events.join(' '))
  assert.deepEqual(a.requests.filter(({ status }) => status >= 400).map(({ status }) => status), [])
})
