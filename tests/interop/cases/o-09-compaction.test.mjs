// O-09 Compaction never changes a document.
//
// Fault: merging stored updates silently lost some inserted text.
// Long form: 5,000 edits by 12 clients. Short form: 1,800. The server compacts by its own policy (a log of
// some hundred updates, looked at after a load and some time after edits); the restarts on the way make it load what
// compaction has left, and compact under the clients' hands.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, compare, documentOf, documentUrl, waitFor } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { compacted, recordOwn, serverDocument, settle, tap, tellCompactions } from './lib/room.mjs'
import { transportOf } from './lib/transports.mjs'
import { limit, size } from './lib/size.mjs'

const EDITS = size(5_000, 1_800)
const CLIENTS = 12
const STRETCHES = 4

function edit (random, text, spot) {
  const letter = random.pick([...'abcdefghijklmnopqrstuvwxyz\u00e4\u6f22\u{1F600}'])
  switch (random.int(0, 5)) {
    case 0: text.insert(0, letter); break
    case 1: text.insert(Math.floor(text.length / 2), letter); break
    case 2: text.insert(Math.min(spot, text.length), letter); break
    case 3: text.insert(random.int(0, text.length), letter); break
    case 4: case 5:
      if (text.length > 0) { const at = random.int(0, text.length - 1); text.delete(at, Math.min(random.int(1, 2), text.length - at)) }
  }
}

/** How many clients edit in the same moment, before they hear of each other. */
const AT_ONCE = 3

test('O-09 compaction never changes a document', limit(900_000, 150_000), async t => {
  t.diagnostic(`seed ${runSeed}`)
  const random = new Random(runSeed)
  const server = await start({ t, args: ['--idle-unload', '1s'], ...tellCompactions })
  const clients = Array.from({ length: CLIENTS }, (_, i) => transportOf(i).open(server, 'tiny', { t }))
  const log = []
  for (const client of clients) recordOwn(client, log)
  const received = clients.map(tap)
  await Promise.all(clients.map(client => client.waitSynced()))

  for (let stretch = 1; stretch <= STRETCHES; stretch++) {
    for (let n = 0; n < EDITS / STRETCHES; n += AT_ONCE) {
      const chosen = random.shuffle([...clients.keys()]).slice(0, AT_ONCE)
      const before = chosen.map(i => received[i].length)
      const made = log.length
      for (const i of chosen) edit(random, clients[i].text(), 7)
      if (log.length === made) continue
      // Not all at once, or the server could fold them into a few updates before they reach its log.
      await waitFor(() => chosen.some((i, k) => received[i].length > before[k]), 10_000, 'an echo', 1)
    }
    await settle(server, 'tiny', clients, { deletes: true })
    compare(await serverDocument(server, 'tiny'), documentOf(log), `the server copy and a document of all updates, stretch ${stretch} (seed ${runSeed})`)
    if (stretch === STRETCHES) break
    const before = clients.map(client => client.connections)
    await server.restart(stretch % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
    await waitFor(() => clients.every((client, i) => client.connections > before[i] && client.synced), 15_000, 'the clients to come back')
  }
  for (const client of clients) client.destroy()
  await server.restart('SIGTERM')
  await serverDocument(server, 'tiny')
  await compacted(server, 'tiny', size(2, 1))
  compare(await serverDocument(server, 'tiny'), documentOf(log), `after a restart without the authors (seed ${runSeed})`)

  await t.test('the same updates shuffled and each delivered twice', async t => {
    const shuffled = random.shuffle([...log, ...log])
    const half = Math.floor(shuffled.length / 2)
    const everything = Y.encodeStateVector(documentOf(log))
    const deliver = async updates => {
      const raw = await RawClient.connect(documentUrl(server, 'shuffled'), { t })
      const answers = () => raw.messages.reduce((sum, { kind }) => sum + (kind === 'step2'), 0)
      for (const [i, update] of updates.entries()) {
        await raw.send(frames.update(update))
        if (i % AT_ONCE !== 0) continue
        const before = answers()
        await raw.step1(everything)
        await waitFor(() => answers() > before, 10_000, 'an answer', 1)
      }
      await raw.fence()
      raw.drop()
    }
    await deliver(shuffled.slice(0, half))
    await server.restart('SIGTERM')
    await deliver(shuffled.slice(half))
    compare(await serverDocument(server, 'shuffled'), documentOf(log), `the shuffled updates (seed ${runSeed})`)
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      await server.restart(signal)
      compare(await serverDocument(server, 'shuffled'), documentOf(log), `the shuffled updates after ${signal} (seed ${runSeed})`)
    }
    await compacted(server, 'shuffled', 1)
    compare(await serverDocument(server, 'shuffled'), documentOf(log), `the shuffled updates after compaction (seed ${runSeed})`)
  })
  assert.deepEqual(server.panics(), [])
})
