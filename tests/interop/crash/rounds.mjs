// Rounds of writing, SIGKILL, restart and comparison.

import assert from 'node:assert/strict'
import { RawClient, documentUrl, openClient, waitFor } from '../lib/client.mjs'
import { Random } from '../lib/seed.mjs'
import { start } from '../lib/server.mjs'
import { edit } from './edits.mjs'
import { Confirmed, Model } from './model.mjs'

const DOCUMENTS = 50
/** Editors, spread over the documents. */
const EDITORS = 60
/** After so many rounds the editors go on in other documents, so that none grows without end while the store does. */
const ROUNDS_OF_A_CHAPTER = 25
/** How long a start may take, in milliseconds. */
const START = 10_000
/** Documents of former chapters that are looked at in each round. */
const LOOKED_AT = 3
/** A pause between two bursts of edits, in milliseconds. */
const PAUSE = 4

/** The shortest time before a kill, in milliseconds. */
const SHORTEST = 50

/**
 * @param {object} options
 * @param {'redb' | 'sled' | 'memory'} options.store
 * @param {number} options.rounds
 * @param {number} options.longest milliseconds before a kill, at most; shorter times are more frequent
 * @param {number} options.seed
 * @param {import('node:test').TestContext} options.t
 * @param {(line: string) => void} [options.note] told now and then how far it is
 * @returns {Promise<{ rounds: number, confirmed: number, slowest: number, documents: number }>}
 */
export async function crash ({ store, rounds, longest, seed, t, note = () => {} }) {
  const untilKilled = random => SHORTEST * (longest / SHORTEST) ** random.float()
  const random = new Random(seed)
  const server = await start({ t, store, env: { QUIRE_LOG: 'warn' } })
  const told = { rounds: 0, confirmed: 0, slowest: 0, documents: 0 }
  /** @type {Array<{ model: Model, stored: Uint8Array }>} */
  const closed = []
  while (told.rounds < rounds) {
    const chapter = openChapter(server, told.documents)
    told.documents += chapter.models.length
    try {
      for (let n = 0; n < ROUNDS_OF_A_CHAPTER && told.rounds < rounds; n++) {
        const where = `round ${told.rounds} (${store}, QUIRE_SEED=${seed})`
        await writeUntilKilled(server, chapter.clients, random, untilKilled(random))
        if (random.chance(0.15)) await killWhileStarting(server, random)
        const took = await startAgain(server, where)
        told.slowest = Math.max(told.slowest, took)
        for (const model of chapter.models) model.check(await read(server, model.name), where)
        for (let i = 0; i < LOOKED_AT && closed.length > 0; i++) {
          const model = random.pick(closed)
          model.checkWhole(await read(server, model.name), where)
        }
        told.rounds++
        if (told.rounds % 10 === 0) note(`${told.rounds} rounds on ${store}, slowest start ${told.slowest.toFixed(0)} ms, ${told.documents} documents`)
      }
      await finish(server, chapter, `after ${told.rounds} rounds (${store}, QUIRE_SEED=${seed})`)
      closed.push(...chapter.models)
    } finally {
      for (const client of chapter.clients) client.destroy()
    }
    told.confirmed += chapter.models.reduce((sum, model) => sum + model.confirmed, 0)
  }
  await server.kill('SIGKILL')
  told.slowest = Math.max(told.slowest, await startAgain(server, 'at the end'))
  for (const model of closed) model.checkWhole(await read(server, model.name), `at the end (${store}, QUIRE_SEED=${seed})`)
  assert.deepEqual(server.panics(), [])
  return told
}

function openChapter (server, first) {
  const models = Array.from({ length: DOCUMENTS }, (_, i) => new Model(`crash/${first + i}`))
  const clients = Array.from({ length: EDITORS }, (_, i) => {
    const model = models[i % DOCUMENTS]
    const client = openClient(server, model.name, { version: i % 2 === 0 ? 3 : 2, prefix: i % 2 === 0 ? '/ws' : '', connect: false })
    model.authors.push(new Confirmed(client))
    return client
  })
  return { models, clients }
}

/** Lets everybody connect and write, kills the server in the middle of it and takes what was still under way to the editors. */
async function writeUntilKilled (server, clients, random, time) {
  for (const client of clients) client.connect()
  const sockets = []
  const end = performance.now() + time
  while (performance.now() < end) {
    for (let i = random.int(1, 4); i > 0; i--) edit(random.pick(clients), random)
    await new Promise(resolve => setTimeout(resolve, PAUSE))
  }
  for (const { provider } of clients) if (provider.ws) sockets.push(provider.ws)
  await server.kill('SIGKILL')
  // What the server had sent by then counts as confirmed, also if it is read now.
  await waitFor(() => sockets.every(socket => socket.readyState === socket.CLOSED), 5_000, 'the sockets of a dead server to close', 1)
  for (const client of clients) client.disconnect()
}

/** A start that does not come to its end. */
async function killWhileStarting (server, random) {
  const starting = server.launch().catch(() => {})
  await new Promise(resolve => setTimeout(resolve, random.int(0, 60)))
  server.signal('SIGKILL')
  await starting
  await server.kill('SIGKILL')
}

async function startAgain (server, where) {
  const begin = performance.now()
  try {
    await server.launch()
  } catch (error) {
    error.message = `${where}: ${error.message}`
    throw error
  }
  const took = performance.now() - begin
  assert.ok(took < START, `${where}: the start took ${took.toFixed(0)} ms`)
  return took
}

async function read (server, name) {
  const raw = await RawClient.connect(documentUrl(server, name))
  try {
    return await raw.read()
  } finally {
    raw.drop()
  }
}

/** Everybody comes back with what was not confirmed: after that, everything is. */
async function finish (server, { models, clients }, where) {
  for (const client of clients) client.connect()
  await Promise.all(clients.map(client => client.waitSynced(30_000)))
  for (const model of models) {
    model.update()
    await waitFor(async () => {
      model.checkWhole(await read(server, model.name), where)
      return model.authors.every(({ client }) => client.doc.store.pendingStructs === null)
    }, 15_000, `${model.name} to be whole`, 20)
  }
  for (const client of clients) client.disconnect()
}
