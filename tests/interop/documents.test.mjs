// Documents deleted and made anew, under the hands of stock clients and over hard ends: what is gone stays gone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { openClient, waitFor } from './lib/client.mjs'
import { start } from './lib/server.mjs'

const status = async (server, path, init) => (await server.fetch(path, init)).status
const content = async (server, name) => (await server.fetch(`/v1/docs/${name}/content`)).json()

for (const store of ['redb', 'sled']) {
  test(`a deleted document cannot be brought back by its editors (${store})`, { timeout: 60_000 }, async t => {
    const server = await start({ t, store })
    const three = openClient(server, 'a', { t, version: 3 })
    const two = openClient(server, 'a', { t, version: 2 })
    await Promise.all([three.waitSynced(), two.waitSynced()])
    three.text().insert(0, 'old')
    await three.waitConfirmed()
    await two.waitEqual(three)

    assert.equal(await status(server, '/v1/docs/a', { method: 'DELETE' }), 204)
    await waitFor(() => three.ended?.code === 4404, 5_000, 'version 3 to stay away with 4404')
    await waitFor(() => two.closes.some(close => close?.code === 4404), 5_000, 'version 2 to be closed with 4404')
    // Offline edits of an editor that comes back by itself, before and after the document is made anew.
    two.text().insert(0, 'still ')
    await server.restart('SIGKILL')
    assert.equal(await status(server, '/v1/docs/a/content'), 404)
    assert.equal(await status(server, '/v1/docs/a', { method: 'PUT' }), 201)
    await server.restart('SIGKILL')
    await waitFor(() => two.closes.some(close => close?.code === 4409), 15_000, 'version 2 to be closed with 4409')
    assert.deepEqual(await content(server, 'a'), {})

    const fresh = openClient(server, 'a', { t })
    await fresh.waitSynced()
    fresh.text().insert(0, 'new')
    await fresh.waitConfirmed()
    assert.deepEqual(await content(server, 'a'), { text: 'new' })
    const raw = new Uint8Array(await (await server.fetch('/v1/docs/a/update')).arrayBuffer())
    const read = new Y.Doc()
    Y.applyUpdate(read, raw)
    assert.equal(read.getText('text').toString(), 'new')
    assert.deepEqual(server.panics(), [])
  })
}

test('an update by the API reaches editors, and is stored when it is answered', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const editor = openClient(server, 'b', { t })
  await editor.waitSynced()
  const doc = new Y.Doc()
  doc.getText('text').insert(0, 'by the API')
  const answer = await server.fetch('/v1/docs/b/update', { method: 'POST', body: Y.encodeStateAsUpdate(doc) })
  assert.deepEqual([answer.status, await answer.json()], [200, { seq: 1 }])
  await server.restart('SIGKILL')
  await waitFor(() => editor.text().toString() === 'by the API', 10_000, 'the update at the editor')
  editor.text().insert(0, 'not ')
  await editor.waitConfirmed()
  const sv = Buffer.from(Y.encodeStateVector(doc)).toString('base64url')
  Y.applyUpdate(doc, new Uint8Array(await (await server.fetch(`/v1/docs/b/update?sv=${sv}`)).arrayBuffer()))
  assert.equal(doc.getText('text').toString(), 'not by the API')
})
