// Devices that fail, and bytes that are not what was written: an error to those whom it concerns, nothing to anybody else.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { dataFile, flip } from './cases/lib/files.mjs'
import { LONG_LOG, compacted, oneByOne, tap, tellCompactions } from './cases/lib/room.mjs'
import { getAt } from './cases/lib/wire.mjs'
import { cannotTrace, inject } from './crash/trace.mjs'
import { RawClient, documentUrl, never, openClient, serverCopy, waitFor } from './lib/client.mjs'
import { openQuire } from './lib/quire.mjs'
import { start } from './lib/server.mjs'

const refused = async (server, name) => {
  try {
    const raw = await RawClient.connect(documentUrl(server, name))
    raw.drop()
    return null
  } catch (error) {
    return { status: error.status, code: error.body && JSON.parse(error.body).error.code }
  }
}

test('a damaged record in the log and in a snapshot is an error to its editors and to nobody else', async t => {
  const server = await start({ t, ...tellCompactions })
  for (const name of ['in the log', 'sound']) {
    const client = openClient(server, name)
    client.text().insert(0, `text of ${name}`)
    await client.waitConfirmed()
    client.destroy()
  }
  const author = openClient(server, 'in the snapshot')
  await author.waitSynced()
  const received = tap(author)
  await oneByOne(received, LONG_LOG, i => author.text().insert(author.text().length, i === 0 ? 'text of a snapshot' : '.'))
  author.destroy()
  await server.restart('SIGTERM')
  await serverCopy(server, 'in the snapshot')
  await compacted(server, 'in the snapshot', 1)
  await server.stop()

  const file = join(server.dataDir, dataFile.redb)
  assert.ok(flip(file, 'text of in the log') > 0, 'an update is damaged')
  assert.ok(flip(file, 'text of a snapshot') > 0, 'a snapshot is damaged')
  await server.launch()
  for (const name of ['in the log', 'in the snapshot']) {
    assert.deepEqual(await refused(server, name), { status: 503, code: 'damaged' }, name)
    const client = openClient(server, name, { t })
    await never(() => client.synced, 700, `an empty page instead of "${name}"`)
    // It types meanwhile, and what it types goes nowhere.
    client.text().insert(0, 'written over it?')
    await never(() => client.synced || client.confirmedClock > 0, 300, 'a confirmation')
    client.destroy()
    assert.equal((await getAt(server, `/v1/docs/${encodeURIComponent(name)}/content`)).status, 503)
  }
  assert.match(server.logs(), /document "in the log" is damaged: an update at key 0103[0-9a-f]{40}: the checksum does not match/)
  assert.match(server.logs(), /document "in the snapshot" is damaged: the snapshot at key 0104[0-9a-f]{40}: the checksum does not match/)
  assert.equal((await serverCopy(server, 'sound')).getText('text').toString(), 'text of sound')
  assert.equal((await getAt(server, '/readyz')).status, 200, 'edits of all others can be stored')
  assert.match((await getAt(server, '/metrics')).body, /^quire_load_failures_total [1-9]/m)
  await server.stop()
  // Its bytes are as they were: mended, it is whole.
  assert.ok(flip(file, 'uext of in the log') > 0)
  await server.launch()
  assert.equal((await serverCopy(server, 'in the log')).getText('text').toString(), 'text of in the log')
  assert.deepEqual(server.panics(), [])
})

test('damaged bytes in the middle of what sled wrote end the start with one message', async t => {
  const server = await start({ t, store: 'sled' })
  for (const name of ['damaged', 'later']) {
    const client = openClient(server, name)
    client.text().insert(0, `text of ${name}`)
    await client.waitConfirmed()
    client.destroy()
  }
  await server.kill('SIGKILL')
  assert.ok(flip(join(server.dataDir, dataFile.sled), 'text of damaged') > 0)
  await assert.rejects(server.launch(), /ended before it listened/)
  const errors = server.logLines().filter(line => / ERROR /.test(line))
  assert.equal(errors.length, 1, errors.join('\n'))
  assert.match(errors[0], /the last \d+ of \d+ commits are missing.*restore a backup/)
})

const skip = cannotTrace()
/** A document that takes many reads to load. */
const LARGE = 3_000_000

for (const store of ['redb', 'sled']) {
  for (const [what, injection] of [
    ['a device whose syncs fail', 'fdatasync:error=EIO'],
    ['a device whose writes fail', 'pwrite64:error=EIO'],
    ['a device that is full', 'pwrite64:error=ENOSPC']
  ]) {
    test(`${what} under ${store} is seen, confirms nothing, and heals without a restart`, { skip }, async t => {
      const server = await start({ t, store })
      const client = openClient(server, 'failing', { t })
      client.text().insert(0, 'before. ')
      await client.waitConfirmed()
      const told = ['websocket', 'sse', 'poll'].map(transport => openQuire(server, 'failing', { t, transports: [transport] }))
      for (const each of told) await each.waitSynced()
      const heal = await inject(server, injection, t)
      client.text().insert(0, 'while it fails. ')
      const confirmed = client.confirmedClock
      const ready = await waitFor(async () => {
        const ready = await getAt(server, '/readyz')
        return ready.status === 503 && ready
      }, 10_000, 'readiness to turn red')
      assert.equal(JSON.parse(ready.body).reasons[0].code, 'store_failing')
      assert.match((await getAt(server, '/metrics')).body, /^quire_store_failing 1$/m)
      const late = openClient(server, 'failing', { t })
      await waitFor(() => late.text().toString() === 'while it fails. before. ', 5_000, 'the live edit at the other')
      assert.equal(client.confirmedClock, confirmed, 'nothing is confirmed')
      for (const each of told) await waitFor(() => !each.provider.storing, 10_000, `the word that nothing is stored, over ${each.provider.transport}`)
      const newcomer = openQuire(server, 'failing', { t })
      told.push(newcomer)
      await waitFor(() => newcomer.synced && !newcomer.provider.storing, 10_000, 'the word at who comes meanwhile')
      await heal()
      await client.waitConfirmed(20_000)
      for (const each of told) {
        await waitFor(() => each.provider.storing, 10_000, 'the word that it is stored again')
        assert.deepEqual(each.events.filter(event => event.startsWith('storing')), ['storing:false', 'storing:true'])
        each.destroy()
      }
      await waitFor(async () => (await getAt(server, '/readyz')).status === 200, 10_000, 'readiness to turn green')
      client.destroy()
      late.destroy()
      await server.restart('SIGKILL')
      assert.equal((await serverCopy(server, 'failing')).getText('text').toString(), 'while it fails. before. ')
      assert.deepEqual(server.panics(), [])
    })
  }

  test(`a slow device under ${store} is waited for, by the editors of stored documents alone`, { skip }, async t => {
    const server = await start({ t, store })
    const [author, other] = [openClient(server, 'slow', { t }), openClient(server, 'slow', { t })]
    await Promise.all([author.waitSynced(), other.waitSynced()])
    await inject(server, 'fdatasync:delay_enter=2000000', t)
    const begin = performance.now()
    author.text().insert(0, 'slow')
    await waitFor(() => other.text().toString() === 'slow', 5_000, 'the live edit at the other', 1)
    const seen = performance.now() - begin
    await author.waitConfirmed()
    const took = performance.now() - begin
    assert.ok(seen < 1_500 && took >= 2_000, `seen after ${seen.toFixed(0)} ms, confirmed after ${took.toFixed(0)} ms`)
  })

  test(`a read error while a document is loaded from ${store} is told, and passes`, { skip }, async t => {
    const server = await start({ t, store })
    const client = openClient(server, 'unreadable')
    client.text().insert(0, 'x'.repeat(LARGE))
    await client.waitConfirmed()
    client.destroy()
    await server.restart('SIGTERM')
    const heal = await inject(server, 'pread64:error=EIO', t)
    // An engine may have all of it in memory: redb's debug builds read everything when they open.
    const outcome = await refused(server, 'unreadable')
    if (outcome !== null) assert.deepEqual(outcome, { status: 503, code: 'unavailable' })
    else assert.equal(store, 'redb')
    await heal()
    assert.equal((await serverCopy(server, 'unreadable')).getText('text').length, LARGE)
    assert.deepEqual(server.panics(), [])
  })
}
