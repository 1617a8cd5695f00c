// Lets yjs read what becomes of every update that Quire takes out of the inputs of the fuzz target `updates`: what makes it throw
// should have been refused or mended, since a reader that throws misses the whole update.
//
//   node accepted.mjs [FOLDER]        (the binary `corpus` must be built)
//
// Reads each update as it is handed on to others, and as the replica encodes it. What only yrs writes is passed over: moves,
// and weak links.

import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import * as Y from 'yjs'
import { repoRoot } from '../lib/server.mjs'

const target = process.env.CARGO_TARGET_DIR ?? join(repoRoot, 'target')
const folder = resolve(process.argv[2] ?? join(repoRoot, 'crates', 'testkit', 'corpus', 'updates'))
const listed = spawnSync(join(target, 'debug', 'corpus'), ['updates', folder], { encoding: 'utf8', maxBuffer: 2 ** 30 })
if (listed.status !== 0) throw new Error(`corpus: ${listed.error ?? listed.stderr}`)
const lines = listed.stdout.split('\n').filter(line => line !== '')
if (lines.length === 0) throw new Error(`no updates in ${folder}`)

/** The error of a reader, if there is one. */
function read (hex) {
  const doc = new Y.Doc()
  const errors = console.error
  // yjs reports what an observer threw and goes on.
  const reported = []
  console.error = (...report) => reported.push(report)
  try {
    Y.applyUpdate(doc, Buffer.from(hex, 'hex'))
    Y.encodeStateAsUpdate(doc)
    return reported.length === 0 ? undefined : new Error(String(reported))
  } catch (error) {
    return error
  } finally {
    console.error = errors
    doc.destroy()
  }
}

const isOfYrs = error => /reader\[.*\] is not a function|typeRefs\[.*\] is not a function|contentRefs\[.*\] is not a function/.test(error.message)

const kinds = new Map()
let count = 0
let ofYrs = 0
for (const line of lines) {
  const [name, ...updates] = line.split(' ')
  for (const [at, update] of updates.entries()) {
    count++
    const error = read(update)
    if (error === undefined) continue
    if (isOfYrs(error)) { ofYrs++; continue }
    const what = `${error.message} ${error.stack?.split('\n')[1]?.trim() ?? ''}`
    const kind = kinds.get(what) ?? { count: 0, shortest: undefined }
    kind.count++
    if (kind.shortest === undefined || update.length < kind.shortest.update.length) kind.shortest = { name, as: ['handed on', 'encoded'][at], update }
    kinds.set(what, kind)
  }
}

console.log(`${count} updates read, ${ofYrs} only for yrs`)
for (const [what, { count, shortest }] of kinds) console.log(`${count} x ${what}\n  ${shortest.name} ${shortest.as}: ${shortest.update}`)
process.exitCode = kinds.size === 0 ? 0 : 1
