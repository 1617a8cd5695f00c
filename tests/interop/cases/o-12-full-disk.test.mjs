// O-12 A store that takes nothing is seen at once, confirms nothing, loses nothing, and heals without a restart.
//
// Fault: saving failed on the server for hours while the editor looked fine; a reload showed the morning's text.
// A data folder on a RAM disk of 64 MB, filled with ballast. Needs root, to mount it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openClient, serverCopy, waitFor } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { limit } from './lib/size.mjs'
import { getAt } from './lib/wire.mjs'

const DISK = '64m'
/** Readiness must have noticed by then, in milliseconds. */
const SEEN = 10_000
/** Everything must be stored this long after there is room again. */
const STORED = 60_000
const DOCUMENTS = 3
const PASTE = 400_000

function ramDisk () {
  if (process.getuid?.() !== 0) return { skip: 'a RAM disk is mounted by root only' }
  const folder = mkdtempSync(join(tmpdir(), 'quire-full-'))
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'quire-test', folder], { encoding: 'utf8' })
  if (status !== 0) {
    rmdirSync(folder)
    return { skip: `no RAM disk can be mounted here: ${stderr?.trim()}` }
  }
  return { folder, remove: () => { spawnSync('umount', [folder]); rmdirSync(folder) } }
}

/** Fills the disk to the last byte. */
function fill (folder) {
  const file = join(folder, 'ballast')
  const fd = openSync(file, 'a')
  try {
    for (const size of [1 << 20, 4_096, 1]) {
      try {
        for (;;) if (writeSync(fd, Buffer.alloc(size)) < size) break
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(fd)
  }
  return file
}

const metric = async (server, name) => {
  const { body } = await getAt(server, '/metrics')
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(body)?.[1] ?? NaN)
}

for (const store of ['redb', 'sled']) {
  test(`O-12 a full disk under ${store} is seen, and healed without a restart`, limit(180_000, 120_000), async t => {
    const disk = ramDisk()
    if (disk.skip) return t.skip(disk.skip)
    t.after(disk.remove)
    const server = await start({ t, store, dataDir: disk.folder, args: ['--idle-unload', '1s'] })
    const { pid } = server
    const authors = Array.from({ length: DOCUMENTS }, (_, i) => openClient(server, `full/${i}`, { t }))
    const readers = authors.map((_, i) => openClient(server, `full/${i}`, { t, version: 2 }))
    for (const author of authors) author.text().insert(0, 'before. ')
    await Promise.all(authors.map(author => author.waitConfirmed()))
    assert.equal((await getAt(server, '/readyz')).status, 200)

    const ballast = fill(disk.folder)
    // Free room inside the store's own file may take some of it first.
    const pastes = authors.map(() => 0)
    const pasteAll = () => authors.forEach((author, i) => { author.text().insert(author.text().length, `<${i}:${pastes[i]++}>${'x'.repeat(PASTE)}`) })
    pasteAll()
    const refused = Date.now()
    await waitFor(async () => {
      const ready = await getAt(server, '/readyz')
      if (ready.status === 503) {
        assert.equal(JSON.parse(ready.body).reasons[0].code, 'store_failing')
        return true
      }
      pasteAll()
      return false
    }, SEEN, 'readiness to turn red', 300)
    t.diagnostic(`readiness is red ${Date.now() - refused} ms after the disk was full`)
    assert.equal((await getAt(server, '/healthz')).status, 200, 'the process lives')
    assert.equal(await metric(server, 'quire_store_failing'), 1)
    assert.ok(await metric(server, 'quire_store_failures_total') > 0)

    // Nothing more is confirmed, and everything is seen by the others.
    for (const author of authors) author.text().insert(0, 'while full. ')
    await Promise.all(authors.map((author, i) => waitFor(() => readers[i].text().toString() === author.text().toString(), 10_000, 'the live edit at the other')))
    const late = openClient(server, 'full/0', { t })
    await late.waitSynced()
    assert.equal(late.text().toString(), authors[0].text().toString(), 'who comes now sees it too')
    const unconfirmed = authors.filter(author => author.confirmedClock < author.text().length)
    assert.equal(unconfirmed.length, DOCUMENTS, 'no claim that it is stored')

    // Everybody leaves; the server alone has it.
    const texts = authors.map(author => author.text().toString())
    for (const client of [...authors, ...readers, late]) client.destroy()
    await waitFor(async () => await metric(server, 'quire_sessions') === 0, 10_000, 'everybody to be gone')
    await new Promise(resolve => setTimeout(resolve, 1_500))
    assert.equal(await metric(server, 'quire_documents_loaded'), DOCUMENTS, 'what is not stored stays in memory')

    unlinkSync(ballast)
    const freed = Date.now()
    await waitFor(async () => (await getAt(server, '/readyz')).status === 200, STORED, 'readiness to turn green', 100)
    await waitFor(async () => await metric(server, 'quire_documents_loaded') === 0, STORED, 'the documents to be stored and leave memory', 100)
    t.diagnostic(`everything is stored ${Date.now() - freed} ms after there was room again`)
    assert.equal(await metric(server, 'quire_store_failing'), 0)
    assert.equal(server.pid, pid, 'the process never ended')
    await server.restart('SIGKILL')
    for (const [i, text] of texts.entries()) {
      assert.ok((await serverCopy(server, `full/${i}`)).getText('text').toString() === text, `document ${i} is as it was`)
    }
    assert.deepEqual(server.panics(), [])
    await server.kill('SIGKILL')
  })
}
