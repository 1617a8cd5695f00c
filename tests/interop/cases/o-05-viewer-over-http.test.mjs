// O-05 A viewer's edits are dropped on every transport of the package, also those that come as the answer after a reconnect; and what
// a token that ends does to a session over HTTP (O-28). Frames made by hand are in sessions.test.mjs.
//
// Fault: a viewer typed while offline; on reconnect the server's own question let those edits in as the answer.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClient, serverCopy, waitFor } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { start } from '../lib/server.mjs'
import { token } from '../lib/token.mjs'
import { limit } from './lib/size.mjs'
import { quireTransports } from './lib/transports.mjs'

const secret = 'a secret of at least thirty-two bytes!'
const env = { QUIRE_AUTH_SECRET: secret }
const right = (access, more) => token(secret, { sub: access, docs: [{ name: 'doc', access }], ...more })

describe('O-05', { concurrency: true }, () => {
  for (const transport of quireTransports) {
    test(`O-05 a viewer receives, is told, and changes nothing (${transport.name})`, limit(60_000, 60_000), async t => {
      const server = await start({ t, env })
      const cutter = await cut(server, { t })
      const writer = openClient(server, 'doc', { t, params: { token: right('write') } })
      const viewer = transport.open(cutter, 'doc', { t, token: right('read') })
      await Promise.all([writer.waitSynced(), viewer.waitSynced()])
      writer.text().insert(0, 'good')
      await waitFor(() => viewer.text().toString() === 'good', 5_000, 'the edit at the viewer')
      viewer.text('other').insert(0, 'live')
      await waitFor(() => viewer.provider.denied, 5_000, 'the word that it is not taken')
      assert.equal(viewer.provider.unconfirmed, 1)
      cutter.down()
      await waitFor(() => !viewer.connected, 15_000, 'the cut')
      viewer.text('other').insert(0, 'offline')
      cutter.resume()
      await waitFor(() => viewer.synced && viewer.provider.denied, 20_000, 'the return, and the word again')
      writer.text().insert(4, ' still')
      await waitFor(() => viewer.text().toString() === 'good still', 10_000, 'edits still come')
      assert.ok(viewer.provider.unconfirmed > 0)
      for (let round = 0; round < 2; round++) {
        const copy = await serverCopy(server, 'doc', { params: { token: right('read') } })
        assert.deepEqual([copy.getText('text').toString(), copy.getText('other').toString()], ['good still', ''])
        assert.equal(writer.text('other').toString(), '')
        await writer.waitConfirmed()
        if (round === 0) await server.restart('SIGTERM')
      }
    })
  }

  for (const transport of quireTransports.slice(1)) {
    test(`O-28 a session ends with its token, and goes on with a fresh one (${transport.name})`, limit(60_000, 60_000), async t => {
      const server = await start({ t, env })
      const asked = []
      const a = transport.open(server, 'doc', { t, provider: { token: ({ refresh }) => { asked.push(refresh); return right('write', { exp: Math.floor(Date.now() / 1000) + (asked.length === 1 ? 3 : 600) }) } } })
      await a.waitSynced()
      await waitFor(() => a.closes.some(end => end?.code === 4401), 10_000, () => `the end of the token: ${a.events.join(' ')}`)
      await waitFor(() => a.synced, 5_000, 'the return')
      assert.deepEqual(asked, [false, true])
      a.text().insert(0, 'with a fresh token')
      await a.waitConfirmed()
    })
  }
})
