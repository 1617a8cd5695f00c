// O-01 The server asks every client for what it lacks, on every connect and every transport.
//
// Fault: somebody edits offline and reconnects; they see their text, nobody else ever does, and it dies with the tab.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClient, serverCopy, waitFor } from '../lib/client.mjs'
import { cut } from '../lib/cutter.mjs'
import { start } from '../lib/server.mjs'
import { confirmed, recordOwn, tap } from './lib/room.mjs'
import { allTransports } from './lib/transports.mjs'
import { limit } from './lib/size.mjs'

const marker = letter => letter.repeat(200)

/** The server copy has the text within 5 s, and still has it after a restart to which the author does not return. */
async function assertKept (server, name, text, { author, leave, signal }) {
  await waitFor(async () => (await serverCopy(server, name, { deadline: 2_000 })).getText('text').toString().includes(text), 5_000,
    'the offline text in the server copy', 50)
  await author()
  await leave()
  await server.restart(signal)
  assert.ok((await serverCopy(server, name)).getText('text').toString().includes(text), `the offline text after a restart by ${signal}`)
}

describe('O-01 the server asks every client for what it lacks', { concurrency: true }, () => {
  for (const transport of allTransports) {
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      test(`O-01 text typed offline reaches the server on reconnect without a further edit (${transport.name}, ${signal})`, limit(60_000, 60_000), async t => {
        const server = await start({ t })
        const cutter = await cut(server, { t })
        const a = transport.open(cutter, 'notes', { t })
        const b = openClient(server, 'notes', { t })
        await Promise.all([a.waitSynced(), b.waitSynced()])
        a.text().insert(0, 'online ')
        await b.waitEqual(a)

        const own = recordOwn(a)
        const received = tap(a)
        cutter.down()
        await waitFor(() => !a.connected, 5_000, 'the end of the connection')
        a.text().insert(a.text().length, marker('m'))
        cutter.resume()
        await waitFor(() => a.connected && a.synced, 10_000, 'the client to come back')
        await waitFor(() => b.text().toString().includes(marker('m')), 5_000, 'the offline text at the other client')
        await assertKept(server, 'notes', marker('m'), {
          signal,
          author: () => confirmed(received, own[0]),
          leave: () => { a.destroy(); b.destroy() }
        })
      })

      test(`O-01 a first ever connect that already holds text (${transport.name}, ${signal})`, limit(60_000, 60_000), async t => {
        const server = await start({ t })
        const a = transport.open(server, 'first', { t, connect: false })
        const own = recordOwn(a)
        const received = tap(a)
        a.text().insert(0, marker('f'))
        a.connect()
        await a.waitSynced()
        await assertKept(server, 'first', marker('f'), {
          signal,
          author: () => confirmed(received, own[0]),
          leave: () => a.destroy()
        })
      })
    }
  }
})
