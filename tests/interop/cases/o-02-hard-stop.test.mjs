// O-02 Any hard stop leaves a store that opens by itself; files damaged from outside give one message, and never an empty store.
//
// Fault: after a container was stopped hard the database refused to open, and the service panicked on every start until files were
// deleted by hand. The rounds of kills are in crash.test.mjs (`just crash 200`); here is what comes once each.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openClient, serverCopy } from '../lib/client.mjs'
import { Random, runSeed } from '../lib/seed.mjs'
import { Server, start } from '../lib/server.mjs'
import { copyOf, cut, dataFile, lockFolder, zeroTail } from './lib/files.mjs'
import { limit } from './lib/size.mjs'

const DOCUMENTS = 20
const content = i => `document ${i}; `.repeat(1_000)

/** A folder that a killed server has left, with documents all of which were confirmed. */
async function killed (t, store) {
  const server = await start({ t, store })
  const clients = Array.from({ length: DOCUMENTS }, (_, i) => openClient(server, `document ${i}`))
  for (const client of clients) await client.waitSynced()
  for (const [i, client] of clients.entries()) client.text().insert(0, content(i))
  for (const client of clients) await client.waitConfirmed()
  for (const client of clients) client.destroy()
  await server.kill('SIGKILL')
  return server.dataDir
}

/** Starts on a copy of the folder; resolves with the server, or with its last words if it did not start. */
async function tryStart (t, store, folder, damage) {
  const dataDir = copyOf(folder, t)
  damage(dataDir)
  const server = new Server({ store, dataDir, env: { QUIRE_LOG: 'info' } })
  t.after(() => server.dispose())
  try {
    await server.launch()
    return { server, dataDir }
  } catch {
    return { refusal: server.logLines().filter(line => / ERROR /.test(line)), panics: server.panics(), dataDir }
  }
}

async function assertWhole (server, store) {
  for (let i = 0; i < DOCUMENTS; i++) {
    assert.equal((await serverCopy(server, `document ${i}`)).getText('text').toString(), content(i), `document ${i} on ${store}`)
  }
}

for (const store of ['redb', 'sled']) {
  test(`O-02 damaged files on ${store} are one message`, limit(120_000, 60_000), async t => {
    t.diagnostic(`seed ${runSeed}`)
    const random = new Random(runSeed)
    const folder = await killed(t, store)
    const file = dir => join(dir, dataFile[store])
    const size = readFileSync(file(folder)).length
    for (const [what, damage] of [
      ['one byte cut off', dir => cut(file(dir), 1)],
      ['some bytes cut off', dir => cut(file(dir), random.int(2, 4_095))],
      ['4096 bytes cut off', dir => cut(file(dir), 4_096)],
      ['half cut off', dir => cut(file(dir), size >> 1)],
      ['everything cut off', dir => truncateSync(file(dir))],
      ['a tail of zeros', dir => zeroTail(file(dir), 4_096)],
      ['half zeros', dir => zeroTail(file(dir), size >> 1)]
    ]) {
      const { server, refusal, panics, dataDir } = await tryStart(t, store, folder, damage)
      if (server) {
        // It may only start if nothing is lost.
        await assertWhole(server, store)
        t.diagnostic(`${what}: starts, whole`)
        await server.kill('SIGKILL')
        continue
      }
      assert.equal(refusal.length, 1, `${what}: one message, not ${refusal.length}: ${refusal.join('\n')}`)
      assert.match(refusal[0], /backup/, `${what}: it says what to do: ${refusal[0]}`)
      assert.ok(refusal[0].includes(join(dataDir, lockFolder[store])), `${what}: it says where: ${refusal[0]}`)
      assert.deepEqual(panics, [], what)
      t.diagnostic(`${what}: ${refusal[0].replace(/^.*error=/, '')}`)
    }
  })

  test(`O-02 what an interrupted start leaves on ${store} does not matter`, limit(60_000, 30_000), async t => {
    const folder = await killed(t, store)
    for (const [what, leave] of [
      ['an empty temporary file', dir => writeFileSync(join(dir, lockFolder[store], `quire.${store}.new`), '')],
      ['half a temporary folder', dir => mkdirSync(join(dir, lockFolder[store], `quire.${store}.new`, 'half'), { recursive: true })],
      ['a lock file with something in it', dir => writeFileSync(join(dir, lockFolder[store], 'quire.lock'), '12345\n')]
    ]) {
      const { server, refusal } = await tryStart(t, store, folder, leave)
      assert.ok(server, `${what}: ${refusal}`)
      await assertWhole(server, store)
      await server.kill('SIGKILL')
    }
  })

  test(`O-02 a second process on ${store} is told so and harms nothing`, limit(60_000, 30_000), async t => {
    const server = await start({ t, store })
    const client = openClient(server, 'shared', { t })
    client.text().insert(0, 'first')
    await client.waitConfirmed()
    const second = new Server({ store, dataDir: server.dataDir })
    await assert.rejects(second.launch(), /ended before it listened/)
    assert.match(second.logs(), /in use by another process/)
    assert.ok(second.logs().includes(server.dataDir), second.logs())
    client.text().insert(0, 'still ')
    await client.waitConfirmed()
    await server.restart('SIGKILL')
    assert.equal((await serverCopy(server, 'shared')).getText('text').toString(), 'still first')
  })
}
