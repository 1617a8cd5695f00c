// Runs all tests, or the files that are named: node run.mjs [FILE...]
//
// Nearly all of what a test here does is wait, for intervals and deadlines of servers and clients, so several files run beside each
// other. A file that judges latencies, times, memory or processor time says so in a comment that begins with `Alone:` and what it judges; such
// files run when the others are through, one at a time.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Files that run beside each other. */
const TOGETHER = Number(process.env.QUIRE_TOGETHER || 3)
/** The limit of one test in milliseconds, where it sets none itself. */
const LIMIT = 600_000

const here = dirname(fileURLToPath(import.meta.url))
const named = process.argv.slice(2)
const files = named.length > 0
  ? named
  : [here, join(here, 'cases')].flatMap(folder => readdirSync(folder).filter(name => name.endsWith('.test.mjs')).map(name => relative(here, join(folder, name))))
const missing = files.filter(file => !existsSync(join(here, file)))
if (missing.length > 0) throw new Error(`no such file: ${missing.join(', ')}`)
const isAlone = file => /^\/\/ Alone: /m.test(readFileSync(join(here, file), 'utf8'))

/** Runs these, so many at a time; true if all passed. */
function run (files, concurrency) {
  if (files.length === 0) return true
  const reporters = ['spec', './lib/durations.mjs'].flatMap(reporter => [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout'])
  const { status } = spawnSync(process.execPath, ['--test', `--test-concurrency=${concurrency}`, `--test-timeout=${LIMIT}`, ...reporters, ...files],
    { cwd: here, stdio: 'inherit' })
  return status === 0
}

const passed = [run(files.filter(file => !isAlone(file)), TOGETHER), run(files.filter(isAlone), 1)]
process.exitCode = passed.every(Boolean) ? 0 : 1
