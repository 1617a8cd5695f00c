// The harness holds what it says: it starts, kills and restarts a server, cuts wires, and tells documents apart.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, compare, differences, documentUrl, openClient, serverCopy, waitFor, waitSettled } from './lib/client.mjs'
import { cut } from './lib/cutter.mjs'
import { start } from './lib/server.mjs'

test('a server is started, measured, killed, and started again on its folder and port', async t => {
  const server = await start({ t })
  const [pid, port] = [server.pid, server.port]
  const a = openClient(server, 'doc', { t })
  const raw = await RawClient.connect(documentUrl(server, 'doc'), { t })
  await a.waitSynced()
  a.text().insert(0, 'kept')
  const told = await raw.expect('update')
  assert.equal(Y.decodeUpdate(told.payload).structs.length, 1)
  await serverCopy(server, 'doc')
  assert.ok(server.memory().rss > 1_000_000)
  assert.ok((await server.diskSize()).apparent > 0)
  assert.ok(await server.openFiles() > 3)
  await server.restart('SIGKILL')
  assert.notEqual(server.pid, pid)
  assert.equal(server.port, port)
  await waitFor(() => a.connections === 2 && a.synced, 10_000, 'the client to come back')
  assert.equal((await serverCopy(server, 'doc')).getText('text').toString(), 'kept')
  assert.ok(raw.closed)
})

test('the cutter stalls, throttles, blackholes, cuts and resumes', async t => {
  const server = await start({ t })
  const cutter = await cut(server, { t })
  const a = openClient(cutter, 'doc', { t })
  const b = openClient(server, 'doc', { t })
  await Promise.all([a.waitSynced(), b.waitSynced()])

  cutter.stall()
  a.text().insert(0, 'stalled ')
  b.text('other').insert(0, 'b')
  await serverCopy(server, 'doc')
  assert.equal(b.text().toString(), '')
  cutter.resume()
  await waitSettled([a, b])
  assert.equal(a.connections, 1, 'a stall loses nothing')

  cutter.throttle(20_000, 'up')
  const from = performance.now()
  a.text().insert(0, 'x'.repeat(20_000))
  await b.waitEqual(a)
  assert.ok(performance.now() - from > 700, 'throttled')
  cutter.resume()

  cutter.blackhole()
  a.text().insert(0, 'lost on the wire ')
  cutter.resume()
  await waitFor(() => a.connections === 2, 10_000, 'the blackholed connection to be replaced')
  await waitSettled([a, b])

  cutter.cutAfter(10, 'down')
  b.text().insert(0, 'more than ten bytes')
  await waitFor(() => a.connections === 3, 10_000, 'the cut connection to be replaced')
  await waitSettled([a, b])

  cutter.down()
  await waitFor(() => !a.connected, 5_000, 'the end of the connection')
  cutter.resume()
  await waitFor(() => a.connected && a.synced, 10_000, 'a new connection')
})

test('comparing documents sees every kind of difference', () => {
  const same = () => {
    const doc = new Y.Doc()
    doc.clientID = 1
    doc.getText('t').insert(0, 'ab', { bold: true })
    doc.getMap('m').set('k', -0)
    doc.getMap('m').set('doc', new Y.Doc({ guid: 'g', meta: { x: 1 } }))
    doc.getXmlFragment('x').push([new Y.XmlElement('p')])
    return doc
  }
  compare(same(), same())
  const differs = (change, ...what) => {
    const doc = same()
    change(doc)
    assert.deepEqual(differences(same(), doc).map(d => d.what), what)
  }
  differs(doc => doc.getText('t').insert(1, 'x'), 'content', 'state vector')
  differs(doc => doc.getText('t').delete(1, 1), 'content', 'deletes')
  differs(doc => doc.getMap('m').set('k', 0), 'content', 'state vector', 'deletes')
  differs(doc => doc.getMap('m').delete('doc'), 'content', 'deletes', 'sub-documents')
  differs(doc => doc.getXmlFragment('x').get(0).setAttribute('a', 'b'), 'content', 'state vector')
  differs(doc => Y.applyUpdate(doc, Uint8Array.of(1, 1, 9, 5, 0x84, 9, 4, 1, 0x61, 0)), 'pending')
  const typed = same()
  const untyped = new Y.Doc()
  Y.applyUpdate(untyped, Y.encodeStateAsUpdate(typed))
  compare(typed, untyped)
})
