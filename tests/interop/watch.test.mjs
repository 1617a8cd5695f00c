// Dashboards: documents watched by server-sent events and by long poll, through everything that may happen to them.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { admin, guarded, metrics, now, pass } from './cases/lib/access.mjs'
import { openClient, waitFor } from './lib/client.mjs'
import { start } from './lib/server.mjs'
import { shown } from './lib/shown.mjs'
import { applyPatch, canonical, Poller, Watcher } from './lib/watch.mjs'

const bearer = token => ({ headers: { authorization: `Bearer ${token}` } })
const timeout = 60_000

/** A value of the server's metrics. */
async function metric (server, name) {
  const page = await metrics(server)
  return Number(new RegExp(`^quire_${name} (\\d+)$`, 'm').exec(page)[1])
}

/** Process ids of the server's view workers. */
function workers (server) {
  return readdirSync('/proc').filter(entry => /^\d+$/.test(entry)).filter(entry => {
    try {
      return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${entry}/status`, 'utf8'))[1]) === server.pid &&
        readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes('view-worker')
    } catch {
      return false // it has ended meanwhile
    }
  }).map(Number)
}

async function editor (server, t, options = {}) {
  const client = openClient(server, 'board', { t, ...options })
  await client.waitSynced()
  return client
}

/** Something so long that patches of what stands beside it are smaller than the whole. */
const LONG = 'long '.repeat(100)

test('two users with three tabs edit, and everybody who watches sees the same, by stream and by poll', { timeout }, async t => {
  const server = await guarded(t)
  const [ada, bob] = [pass('ada', 'write'), pass('bob', 'read')]
  const tabs = await Promise.all([editor(server, t, { params: { token: ada } }), editor(server, t, { params: { token: ada } }), editor(server, t, { params: { token: bob } })])
  const streams = await Promise.all([ada, ada, bob].map(token => Watcher.open(server, 'board', { ...bearer(token), t })))
  const polls = [ada, bob].map(token => new Poller(server, 'board', bearer(token)))
  tabs[0].doc.getMap('m').set('long', LONG)
  for (let n = 0; n < 5; n++) {
    tabs[n % 2].doc.getArray('list').insert(0, [{ n }])
    tabs[n % 2].text().insert(0, `${n} `)
    await tabs[2].waitEqual(tabs[n % 2])
    const expected = shown(tabs[2].doc)
    await Promise.all([...streams, ...polls].map(watcher => watcher.says(expected)))
  }
  for (const watcher of [...streams, ...polls]) {
    assert.equal(watcher.names()[0], 'snapshot')
    assert.ok(watcher.names().includes('patch'), watcher.names())
    assert.equal(watcher.id, streams[0].id)
  }
  // A viewer that writes anyway changes nothing for anybody.
  tabs[2].text().insert(0, 'REFUSED')
  tabs[0].text().insert(0, 'last ')
  await Promise.all(streams.map(watcher => waitFor(() => watcher.json.text.startsWith('last '), 10_000, 'the last edit')))
  assert.ok(!streams[0].json.text.includes('REFUSED'))
})

test('who comes back goes on where it was, or gets all of it: good, old, foreign, future and garbage ids', { timeout }, async t => {
  const server = await start({ t, store: 'memory', args: ['--stream-log', '64KiB', '--watch-interval', '20ms'] })
  const ada = await editor(server, t)
  const set = async (key, value) => { ada.doc.getMap('m').set(key, value); await keeper.says(shown(ada.doc)) }
  const keeper = await Watcher.open(server, 'board', { t })
  await set('long', LONG)
  const gone = await Watcher.open(server, 'board', { t })
  await gone.says(keeper.json)
  const old = gone.id
  gone.drop()
  await waitFor(async () => await metric(server, 'listeners') === 1, 5_000, 'a dropped watcher to be noticed')
  await set('a', 1)
  await set('b', 2)

  const back = await Watcher.open(server, 'board', { headers: { 'last-event-id': old }, json: gone.json, t })
  await back.says(keeper.json)
  assert.deepEqual(back.names(), ['patch', 'patch'])
  const polled = Object.assign(new Poller(server, 'board'), { json: gone.json, id: old })
  await polled.says(keeper.json)
  assert.deepEqual(polled.names(), ['patch', 'patch'])
  assert.equal(polled.id, keeper.id)

  const [tag, number] = keeper.id.split('.')
  const foreign = `${tag === '00000001' ? '00000002' : '00000001'}.${number}`
  for (const id of [foreign, `${tag}.${Number(number) + 5}`, `${tag}.99999999999999999999`, 'garbage', '\u00ff', '-1', `${old}x`]) {
    const watcher = await Watcher.open(server, 'board', { headers: { 'last-event-id': id }, t })
    await watcher.says(keeper.json)
    assert.equal(watcher.names()[0], 'snapshot', id)
    watcher.drop()
    const poller = new Poller(server, 'board')
    assert.equal(await poller.poll(id), 200)
    assert.equal(poller.names()[0], 'snapshot', id)
  }
  // More than is kept, so that the first id is too old.
  for (let n = 0; n < 4; n++) await set(`large ${n}`, `${n}`.repeat(30_000))
  const late = await Watcher.open(server, 'board', { query: `after=${old}`, t })
  await late.says(keeper.json)
  assert.deepEqual(late.names(), ['snapshot'])
  assert.equal(keeper.error, null)
})

test('the server is killed: whoever comes back with an id of before gets all of it', { timeout }, async t => {
  const server = await start({ t })
  const ada = await editor(server, t)
  ada.text().insert(0, 'before')
  await ada.waitConfirmed()
  const stream = await Watcher.open(server, 'board', { t })
  const poller = new Poller(server, 'board')
  await Promise.all([stream.says(shown(ada.doc)), poller.says(shown(ada.doc))])
  await server.restart('SIGKILL')
  await waitFor(() => stream.ended, 5_000, 'the stream to end')
  const again = await Watcher.open(server, 'board', { headers: { 'last-event-id': stream.id }, t })
  assert.equal(await poller.poll(), 200)
  assert.equal(poller.names().at(-1), 'snapshot')
  ada.text().insert(6, ' and after')
  await ada.waitConfirmed()
  await Promise.all([again.says(shown(ada.doc)), poller.says(shown(ada.doc))])
  assert.equal(again.names()[0], 'snapshot')
  assert.equal(again.json.text, 'before and after')
})

test('a slow watcher is skipped to what is new, and slows nobody', { timeout }, async t => {
  const server = await start({ t, store: 'memory', args: ['--stream-log', '64KiB'] })
  const ada = await editor(server, t)
  const [fast, slow] = [await Watcher.open(server, 'board', { t }), await Watcher.open(server, 'board', { t })]
  await Promise.all([fast.says({}), slow.says({})])
  slow.pause()
  // More than the system keeps for a connection that is not read.
  for (let n = 0; n < 6; n++) {
    ada.doc.getMap('m').set('large', `${n}`.repeat(2_500_000))
    await fast.says(shown(ada.doc))
  }
  slow.resume()
  await slow.says(shown(ada.doc))
  assert.ok(slow.events.length < fast.events.length, `${slow.events.length} and ${fast.events.length} events`)
  assert.ok(slow.names().every(name => name === 'snapshot'))
})

test('rights are live: taken back, ended, of another document; a deleted document ends the stream', { timeout }, async t => {
  const server = await guarded(t)
  const open = (token, name = 'board') => Watcher.open(server, name, { ...bearer(token), t })
  await assert.rejects(Watcher.open(server, 'board', { t }), { status: 401, code: 'unauthorized' })
  await assert.rejects(open(pass('eve', 'read', { docs: [{ name: 'other', access: 'read' }] })), { status: 403, code: 'forbidden' })
  const [ada, bob] = [await open(pass('ada', 'read')), await open(pass('bob', 'read'))]
  const poller = new Poller(server, 'board', bearer(pass('ada', 'read')))
  assert.equal(await poller.poll(), 200)
  const waiting = poller.poll()
  await waitFor(async () => await metric(server, 'listeners') === 3, 10_000, 'the poll to wait')
  assert.deepEqual(await (await admin(server, 'POST', '/v1/admin/revoke', { user: 'ada' })).json(), { connections: 2 })
  await waitFor(() => ada.ended, 5_000, 'the stream of ada to end')
  assert.equal(ada.close.code, 4401)
  assert.equal(await waiting, 401)
  assert.equal(await poller.poll(), 401)
  // Clocks may differ by 5 s, and so long a token is good behind its end.
  const short = await open(pass('carl', 'read', { exp: now() - 3 }))
  await waitFor(() => short.ended, 10_000, 'the stream of a token that has ended to end')
  assert.deepEqual([short.close.code, short.close.reason], [4401, 'the token has expired'])
  assert.equal(bob.ended, false)
  const editorOf = await editor(server, t, { params: { token: pass('bob', 'write') } })
  editorOf.text().insert(0, 'x')
  await bob.says({ text: 'x' })
  assert.equal((await admin(server, 'DELETE', '/v1/docs/board')).status, 204)
  await waitFor(() => bob.ended, 5_000, 'the stream of a deleted document to end')
  assert.equal(bob.close.code, 4404)
  await assert.rejects(open(pass('bob', 'read')), { status: 404, code: 'deleted' })
})

test('where the document cannot be read the stream says so, and editors notice nothing', { timeout }, async t => {
  const server = await start({ t })
  const [ada, bob] = [await editor(server, t), await editor(server, t)]
  const stream = await Watcher.open(server, 'board', { t })
  ada.text().insert(0, 'readable')
  await stream.says(shown(ada.doc))
  const last = structuredClone(stream.json)
  // Half an emoji in a format.
  ada.text().insert(0, '!', { title: '\ud83d' })
  await waitFor(() => stream.unreadable === 'unreadable', 10_000, 'the stream to say so')
  assert.deepEqual(stream.json, last)
  const late = await Watcher.open(server, 'board', { t })
  await waitFor(() => late.unreadable === 'unreadable', 5_000, 'who comes later to be told, too')
  const fresh = new Poller(server, 'board')
  assert.equal(await fresh.poll(), 200)
  assert.equal(fresh.unreadable, 'unreadable')
  bob.text().insert(0, 'still ')
  await ada.waitEqual(bob)
  await bob.waitConfirmed()
  ada.text().delete(ada.text().toString().indexOf('!'), 1)
  await Promise.all([stream.says(shown(ada.doc)), late.says(shown(ada.doc)), fresh.says(shown(ada.doc))])
  assert.equal(stream.json.text, 'still readable')
})

test('a worker that is killed or hangs costs one answer', { timeout }, async t => {
  const server = await start({ t, store: 'memory', args: ['--view-timeout', '1s', '--view-workers', '1'] })
  const ada = await editor(server, t)
  const stream = await Watcher.open(server, 'board', { t })
  for (const signal of ['SIGKILL', 'SIGSTOP']) {
    ada.text().insert(0, `${signal} `)
    await stream.says(shown(ada.doc))
    const [worker] = workers(server)
    process.kill(worker, signal)
    ada.text().insert(0, 'after ')
    await stream.says(shown(ada.doc))
    await ada.waitConfirmed()
    assert.ok(!workers(server).includes(worker))
  }
  assert.ok(!stream.names().includes('unreadable'), stream.names())
  assert.ok(await metric(server, 'watch_failures_total') >= 1)
})

test('what changes meanwhile is told at once, and a burst is few events', { timeout }, async t => {
  const server = await start({ t, store: 'memory', args: ['--watch-interval', '1s'] })
  const ada = await editor(server, t)
  const stream = await Watcher.open(server, 'board', { t })
  await stream.says({})
  for (let n = 0; n < 300; n++) {
    ada.text().insert(0, 'x')
    await new Promise(resolve => setImmediate(resolve))
  }
  await stream.says(shown(ada.doc))
  assert.ok(stream.events.length <= 4, `${stream.events.length} events`)
})

test('documents, watchers and their connections are bounded, and a drained server says when to come back', { timeout }, async t => {
  const server = await start({ t, args: ['--max-watched', '1', '--max-per-document', '3', '--keepalive', '1s'] })
  const ada = await editor(server, t)
  const stream = await Watcher.open(server, 'board', { t })
  await assert.rejects(Watcher.open(server, 'other', { t }), { status: 503, code: 'busy' })
  const second = await Watcher.open(server, 'board', { t })
  await assert.rejects(Watcher.open(server, 'board', { t }), { status: 429, code: 'too_many_connections' })
  assert.equal((await server.fetch('/v1/docs/board/watch', { method: 'POST' })).headers.get('allow'), 'GET')
  assert.deepEqual([await metric(server, 'listeners'), await metric(server, 'watched_documents')], [2, 1])
  second.drop()
  await waitFor(async () => await metric(server, 'listeners') === 1, 5_000, 'the place of who has gone')
  await waitFor(() => stream.comments >= 2, 10_000, 'signs of life')
  ada.text().insert(0, 'confirmed')
  await stream.says(shown(ada.doc))
  assert.equal((await server.stop()).code, 0)
  await waitFor(() => stream.ended, 5_000, 'the stream to end')
  assert.equal(stream.close.code, 1012)
})

test('a stream in HTTP/2 is the same, beside others on its connection', { timeout }, async t => {
  const server = await start({ t, store: 'memory' })
  const ada = await editor(server, t)
  const session = connect(server.url)
  t.after(() => session.destroy())
  const streams = [0, 1].map(() => {
    const stream = session.request({ ':path': '/v1/docs/board/watch' })
    const read = { text: '' }
    stream.setEncoding('utf8').on('data', text => { read.text += text })
    return read
  })
  const contentOf = ({ text }) => {
    let json
    for (const block of text.split('\n\n').slice(0, -1)) {
      const data = /^data: (.*)$/m.exec(block)?.[1]
      if (data === undefined) continue
      json = block.includes('event: patch') ? applyPatch(json, JSON.parse(data)) : JSON.parse(data).content
    }
    return canonical(json ?? null)
  }
  for (const edit of ['one ', LONG, 'three ']) {
    ada.text('t').insert(0, edit)
    ada.doc.getMap('m').set(edit.slice(0, 5), 1)
    await Promise.all(streams.map(read => waitFor(() => contentOf(read) === canonical(shown(ada.doc)), 10_000, () => `the edit: ${read.text}`)))
  }
})
