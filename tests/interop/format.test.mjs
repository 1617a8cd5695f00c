// FORMAT.md is enough to read a store: a reader written from it alone reads one that was written once and is kept.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { documents, entries } from './format/reader.mjs'
import { compare, documentOf } from './lib/compare.mjs'
import { repoRoot } from './lib/server.mjs'

const fixture = join(repoRoot, 'crates/persistence/tests/fixtures/format-1')
const dump = () => entries(readFileSync(join(fixture, 'sled.entries'), 'utf8'))
/** Name (in hexadecimal), epoch, seq and the whole document of each. */
const expected = readFileSync(join(fixture, 'documents'), 'utf8').trim().split('\n').map(line => {
  const [name, epoch, seq, update] = line.split(' ')
  return { name: Buffer.from(name, 'hex').toString(), epoch: BigInt(epoch), seq: BigInt(seq), update: Buffer.from(update, 'hex') }
})

test('a store of format 1 is read by its description', () => {
  const read = documents(dump())
  assert.deepEqual([...read.keys()], expected.map(({ name }) => name))
  for (const { name, epoch, seq, update } of expected) {
    const { snapshot, updates, ...entry } = read.get(name)
    assert.deepEqual(entry, { epoch, seq })
    compare(documentOf([snapshot, ...updates].filter(update => update?.length > 0)), documentOf([update]), name)
  }
})

test('a reader notices every changed bit', () => {
  for (const [n, { value }] of dump().entries()) {
    const changed = dump()
    changed[n].value[Math.floor(value.length / 2)] ^= 1
    if (changed[n].key[0] === 0xff) continue // a count, not a record
    assert.throws(() => documents(changed), `entry ${n}`)
  }
})
