// O-06 A server that is told to stop stores every document and ends.
//
// Fault: a deploy or Ctrl-C lost the last seconds; with one timer for all, editing a second document cancelled saving the first.
// 300 documents, each edited once within a second, stopped 50 ms after the last edit; 60 in the short form.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openClient, serverCopy, waitFor } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { limit, size } from './lib/size.mjs'

const DOCUMENTS = size(300, 60)
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

/** By redb's header: the bit that says that the next to open the file has to go through all of it. */
const isClosed = file => (readFileSync(file)[9] & 2) === 0

for (const [name, stop] of [
  ['SIGTERM', server => server.signal('SIGTERM')],
  ['SIGINT', server => server.signal('SIGINT')],
  ['two SIGTERMs', async server => {
    server.signal('SIGTERM')
    await pause(100)
    server.signal('SIGTERM')
  }]
]) {
  for (const store of size(['redb', 'sled'], [name === 'SIGINT' ? 'sled' : 'redb'])) {
    test(`O-06 ${name} loses no edit on ${store}`, limit(120_000, 60_000), async t => {
      // A store that takes its time, so that there is something to wait for.
      const server = await start({ t, store, faults: ['store-delay=200ms'] })
      const clients = Array.from({ length: DOCUMENTS }, (_, i) => openClient(server, `stopped/${i}`, { t, version: i % 2 === 0 ? 3 : 2 }))
      await waitFor(() => clients.every(client => client.synced), 60_000, 'all clients to be there')
      const begin = performance.now()
      for (const [i, client] of clients.entries()) {
        client.text().insert(0, `edit ${i}`)
        if (i % 10 === 9) await pause(size(30, 20))
      }
      assert.ok(performance.now() - begin < 5_000, 'all edited in one go')
      await pause(50)
      const exited = server.exited()
      await stop(server)
      // They are not to bring back what the server has lost.
      await waitFor(() => clients.every(client => !client.connected), 11_000, 'the clients to be told')
      for (const client of clients) client.destroy()
      assert.deepEqual(await exited, { code: 0, signal: null })
      if (store === 'redb') assert.ok(isClosed(join(server.dataDir, 'quire.redb')), 'the file was closed in good order')
      await server.launch()
      for (let i = 0; i < DOCUMENTS; i++) {
        assert.equal((await serverCopy(server, `stopped/${i}`)).getText('text').toString(), `edit ${i}`)
      }
      assert.deepEqual(server.panics(), [])
    })
  }
}
