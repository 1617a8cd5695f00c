// O-16 What a client was told is stored survives at every moment; what it was not told comes back with it.
//
// Fault: text that everyone had seen was gone after a crash, because nothing had been flushed. Our window is 0: a crash at the moment
// of the confirmation loses nothing.
// Long form: 100 runs, 1,000 other documents opened and closed, a few after long idleness. Short form: 4 runs, 50 documents.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openClient, serverCopy, waitFor } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { limit, size } from './lib/size.mjs'

const RUNS = size(100, 4)
const OTHERS = size(1_000, 50)
const IDLE = size(600_000, 1_500)
/** Within this the author's edit is back, in milliseconds. */
const BACK = 5_000

/** Types a marker and kills the server at the moment it is confirmed, with the author kept away afterwards. */
async function typeAndKill (server, name, marker) {
  const author = openClient(server, name)
  await author.waitSynced()
  author.text().insert(0, marker)
  await waitFor(() => author.confirmedClock >= marker.length, 15_000, 'the confirmation', 1)
  await server.kill('SIGKILL')
  author.destroy()
  await server.launch()
  assert.ok((await serverCopy(server, name)).getText('text').toString().includes(marker), `${marker} is there`)
}

async function openAndClose (server, count) {
  for (let from = 0; from < count; from += 50) {
    const clients = Array.from({ length: Math.min(50, count - from) }, (_, i) => openClient(server, `other ${from + i}`))
    for (const client of clients) client.text().insert(0, 'something')
    await Promise.all(clients.map(client => client.waitConfirmed()))
    for (const client of clients) client.destroy()
  }
}

for (const store of ['redb', 'sled']) {
  test(`O-16 what is confirmed survives a crash on ${store} at any time`, limit(1_800_000, 90_000), async t => {
    const server = await start({ t, store })
    for (let run = 0; run < RUNS / 2; run++) await typeAndKill(server, `fresh ${run % 3}`, `just after start ${run}`)

    await openAndClose(server, OTHERS)
    await typeAndKill(server, 'after others', 'after many others')

    const load = Array.from({ length: 8 }, (_, i) => openClient(server, `load ${i}`, { t }))
    const typing = setInterval(() => { for (const client of load) client.text().insert(0, 'load ') }, 5)
    t.after(() => clearInterval(typing))
    for (let run = 0; run < RUNS / 2; run++) await typeAndKill(server, `busy ${run % 3}`, `under load ${run}`)
    clearInterval(typing)
    for (const client of load) client.destroy()

    await new Promise(resolve => setTimeout(resolve, IDLE))
    await typeAndKill(server, 'after idleness', 'after idleness')
    assert.deepEqual(server.panics(), [])
  })

  test(`O-16 an edit that was not confirmed on ${store} comes back with its author`, limit(600_000, 60_000), async t => {
    // Nothing is confirmed this early, so everything depends on the author.
    const server = await start({ t, store, faults: ['store-delay=500ms'] })
    for (let run = 0; run < size(20, 2); run++) {
      const author = openClient(server, `unconfirmed ${run}`, { t })
      await author.waitSynced()
      author.text().insert(0, `marker ${run}`)
      await server.restart('SIGKILL')
      const begin = performance.now()
      await waitFor(async () => (await serverCopy(server, `unconfirmed ${run}`)).getText('text').toString() === `marker ${run}`,
        BACK, 'the edit to come back with its author', 50)
      t.diagnostic(`run ${run}: back after ${(performance.now() - begin).toFixed(0)} ms`)
      author.destroy()
    }
  })
}
