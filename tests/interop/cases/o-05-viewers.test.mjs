// O-05 A viewer changes nothing, live, after having been away, or by hand-made frames; it still receives everything.
//
// Fault: a viewer typed while offline, and on reconnect the server's own question let those edits in as the answer.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, waitFor } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { guarded, pass, text, withToken } from './lib/access.mjs'
import { limit } from './lib/size.mjs'
import { transports } from './lib/transports.mjs'

const MARK = 'BY THE VIEWER'

describe('O-05 viewers', () => {
  for (const transport of transports) {
    test(`O-05 ${transport.name}: live and after having been away`, limit(60_000, 60_000), async t => {
      const server = await guarded(t)
      const params = token => ({ params: { token }, t })
      const author = transport.open(server, 'doc', params(pass('ada', 'write')))
      const viewer = transport.open(server, 'doc', params(pass('vi', 'read')))
      await Promise.all([author.waitSynced(), viewer.waitSynced()])
      viewer.text().insert(0, `${MARK} live `)
      author.text().insert(0, 'one ')
      await waitFor(() => viewer.text().toString().includes('one '), 10_000, 'the edit of the author at the viewer')
      viewer.disconnect()
      viewer.text().insert(0, `${MARK} away `)
      author.text().insert(0, 'two ')
      await author.waitConfirmed()
      viewer.connect()
      await waitFor(() => viewer.text().toString().includes('two '), 10_000, 'what was missed at the viewer')
      author.text().insert(0, 'three ')
      await author.waitConfirmed()
      await waitFor(() => viewer.text().toString().includes('three '), 10_000, 'a later edit at the viewer')
      const held = async when => {
        const copy = await text(server, 'doc')
        assert.ok(copy.includes('one ') && copy.includes('three ') && !copy.includes(MARK), `${when}: ${copy}`)
        assert.ok(!author.text().toString().includes(MARK), when)
      }
      await held('before the restart')
      viewer.destroy()
      await server.restart('SIGTERM')
      await author.waitSynced()
      await held('after the restart')
      assert.deepEqual(server.panics(), [])
    })
  }

  test('O-05 hand-made answers and updates are dropped, and the viewer is told once', limit(60_000, 60_000), async t => {
    const server = await guarded(t)
    const viewer = await RawClient.connect(withToken(server, 'doc', pass('vi', 'read')), { t })
    const doc = new Y.Doc()
    doc.getText('text').insert(0, MARK)
    const update = Y.encodeStateAsUpdate(doc)
    for (const frame of [frames.update(update), frames.step2(update), frames.update(update)]) await viewer.send(frame)
    await viewer.fence()
    assert.equal(viewer.messages.filter(message => message.kind === 'denied').length, 1)
    assert.equal(await text(server, 'doc'), '')
    assert.equal(viewer.closed, null)
  })
})
