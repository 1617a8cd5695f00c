// Many clients that lose their server at the same moment.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverCopy, waitFor } from './lib/client.mjs'
import { openQuire } from './lib/quire.mjs'
import { Random, runSeed } from './lib/seed.mjs'
import { start } from './lib/server.mjs'

/** What the first wait after a restart of the server is drawn from: client/README.md. */
const WINDOW_MS = 2_000

const CLIENTS = 200
/** How the server ends, and by what its clients are connected. */
const ENDS = [
  // Three in five over WebSocket, one in five over each of the others.
  { signal: 'SIGTERM', ways: ['websocket', 'websocket', 'websocket', 'sse', 'poll'] },
  // It says nothing: those with a session hear it when they ask the new one.
  { signal: 'SIGKILL', ways: ['sse', 'poll'] }
]

for (const { signal, ways } of ENDS) {
  test(`${CLIENTS} clients of a server that restarts (${signal}) come back spread over the window, each not before its time`, { timeout: 120_000 }, async t => {
    const server = await start({ t })
    const clients = Array.from({ length: CLIENTS }, (_, i) => {
      const random = new Random(runSeed + i)
      const drawn = { at: undefined, share: undefined }
      const client = openQuire(server, `doc-${i % 20}`, {
        t,
        presence: false,
        transports: [ways[i % ways.length]],
        environment: {
          random: () => {
            const share = random.u32() / 2 ** 32
            if (drawn.at !== undefined) drawn.share ??= share
            return share
          }
        }
      })
      client.provider.on('connection-close', () => { drawn.at ??= performance.now() })
      return Object.assign(client, { drawn })
    })
    for (const client of clients) await client.waitSynced(60_000)
    clients[0].text().insert(0, 'before')
    await clients[0].waitConfirmed()

    await server.restart(signal)
    for (const client of clients) await waitFor(() => client.drawn.at !== undefined && client.synced, 60_000, () => `a client is back; ${client.events.slice(-8).join(' ')}`)
    const waits = clients.map(({ drawn, attempts, events }, i) => {
      const first = attempts.find(at => at > drawn.at)
      // Timers of Node.js are exact to a millisecond.
      assert.ok(first - drawn.at >= drawn.share * WINDOW_MS - 2, `client ${i} came after ${first - drawn.at} ms, its time was ${drawn.share * WINDOW_MS}; seed ${runSeed}; ${events.slice(-8).join(' ')}`)
      return drawn.share * WINDOW_MS
    })
    const tenths = Array.from({ length: 10 }, (_, tenth) => waits.filter(wait => Math.floor(wait / WINDOW_MS * 10) === tenth).length)
    t.diagnostic(`came back in tenths of ${WINDOW_MS} ms: ${tenths.join(' ')} (seed ${runSeed})`)
    for (const count of tenths) assert.ok(count >= 5 && count <= 45, `${tenths.join(' ')}; seed ${runSeed}`)
    for (const client of clients) assert.equal(client.ended, null)
    assert.equal((await serverCopy(server, 'doc-0')).getText('text').toString(), 'before')
  })
}
