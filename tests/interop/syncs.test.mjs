// Between an edit and its confirmation lies a sync of the device: shown by the system calls of the server, not by its word.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as Y from 'yjs'
import { calls, cannotTrace, story, tracing } from './crash/trace.mjs'
import { RawClient, documentUrl } from './lib/client.mjs'
import { start } from './lib/server.mjs'

const EDITS = 40
const skip = cannotTrace()

function edit (clientId, text) {
  const doc = new Y.Doc()
  doc.clientID = clientId
  doc.getText('text').insert(0, text)
  return Y.encodeStateAsUpdate(doc)
}

for (const store of ['redb', 'sled']) {
  test(`on ${store} every edit is synced to the device before it is confirmed`, { skip }, async t => {
    const folder = mkdtempSync(join(tmpdir(), 'quire-trace-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const trace = join(folder, 'trace')
    const server = await start({ t, store, wrap: tracing(trace) })
    const client = await RawClient.connect(documentUrl(server, 'traced'), { t })
    await client.fence()
    const texts = Array.from({ length: EDITS }, (_, i) => `<edit ${store} ${String(i).padStart(3, '0')}>`)
    for (const [i, text] of texts.entries()) {
      await client.update(edit(1_000 + i, text))
      await client.expect(({ kind, payload }) => kind === 'update' && Buffer.from(payload).includes(text), 20_000, `the confirmation of ${text}`)
    }
    client.drop()
    await server.stop()
    const found = calls(readFileSync(trace, 'latin1'))
    for (const text of texts) {
      const { write, sync, sent } = story(found, text, server.dataDir)
      assert.ok(write, `${text} was written`)
      assert.ok(sync, `${text} was synced after it was written`)
      assert.ok(sent, `${text} was sent back`)
      assert.ok(sync.end < sent.begin, `${text} was sent on line ${sent.begin} of the trace, before its sync ended on line ${sync.end}`)
    }
    t.diagnostic(`${EDITS} edits, ${found.filter(({ name }) => name.endsWith('sync')).length} syncs`)
  })
}

test('a confirmation before its sync is found out', () => {
  const early = [
    '1 pwrite64(5</data/db>, "..mark..", 8, 0) = 8', '2 fdatasync(5</data/db> <unfinished ...>',
    '1 sendto(9<socket:[1]>, "mark", 4, 0, NULL, 0) = 4', '2 <... fdatasync resumed>) = 0'
  ]
  const { sync, sent } = story(calls(early.join('\n')), 'mark', '/data')
  assert.ok(sync.end > sent.begin)
  assert.equal(story(calls(early.slice(0, 1).join('\n')), 'mark', '/data').sync, undefined)
})
