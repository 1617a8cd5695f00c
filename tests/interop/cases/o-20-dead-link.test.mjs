// O-20 A client can tell that the server has, and has stored, its edits; a dead link is noticed.
//
// Fault: fifteen minutes typed into a dead connection; a tiny icon was the only hint; a reload lost it all.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { never, serverCopy, waitFor } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { start } from '../lib/server.mjs'
import { limit } from './lib/size.mjs'
import { quireTransports } from './lib/transports.mjs'

describe('O-20', { concurrency: true }, () => {
  for (const transport of quireTransports) {
    test(`O-20 a blackholed link is noticed, and nothing is called stored that is not (${transport.name})`, limit(120_000, 120_000), async t => {
      const server = await start({ t })
      const cutter = await cut(server, { t })
      const a = transport.open(cutter, 'doc', { t })
      await a.waitSynced()
      a.text().insert(0, 'before ')
      await a.waitConfirmed()
      cutter.blackhole()
      const began = performance.now()
      a.text().insert(a.text().length, 'typed into nothing')
      assert.equal(a.provider.unconfirmed, 1)
      await waitFor(() => !a.connected, 45_000, 'the dead link to be noticed')
      t.diagnostic(`noticed after ${((performance.now() - began) / 1000).toFixed(1)} s`)
      assert.ok(a.provider.unconfirmed > 0)
      cutter.resume()
      await waitFor(() => a.provider.unconfirmed === 0, 40_000, 'the confirmation', 5)
      assert.equal((await serverCopy(server, 'doc')).getText('text').toString(), 'before typed into nothing')
    })

    test(`O-20 with the store held nothing is confirmed, also not by a reconnect or a restart (${transport.name})`, limit(120_000, 120_000), async t => {
      const server = await start({ t, faults: ['store-delay=2500ms'] })
      const cutter = await cut(server, { t })
      const a = transport.open(cutter, 'doc', { t })
      await a.waitSynced()
      a.text().insert(0, 'held')
      a.text().delete(0, 1)
      await waitFor(async () => (await serverCopy(server, 'doc')).getText('text').toString() === 'eld', 2_000, 'the edit at others')
      await never(() => a.provider.unconfirmed === 0, 300, 'confirmed while the store is at it')
      // Back on the same document: the server knows the edit, and has not stored it.
      cutter.reset()
      await waitFor(() => a.synced, 10_000, 'a new connection')
      const { unconfirmed } = a.provider
      assert.ok(unconfirmed > 0, 'confirmed before it could be stored')
      server.signal('SIGKILL')
      await server.exited()
      await server.restart('SIGKILL', { faults: ['store-delay=1000ms'] })
      assert.ok(a.provider.unconfirmed > 0)
      await waitFor(() => a.provider.unconfirmed === 0, 30_000, 'the confirmation after the restart')
      server.signal('SIGKILL')
      await server.exited()
      await server.restart('SIGKILL')
      assert.equal((await serverCopy(server, 'doc')).getText('text').toString(), 'eld', 'and then it was on the disk')
    })
  }
})
