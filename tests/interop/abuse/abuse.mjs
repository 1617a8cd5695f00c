// What a signed-in user notices of an attack: `just abuse`. Prints figures and ends with 1 if a promise does not hold.

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { openClient } from '../lib/client.mjs'
import { start } from '../lib/server.mjs'
import { token } from '../lib/token.mjs'

const [idle = 5_000, slow = 500, refusals = 100_000] = process.argv.slice(2).map(Number)
const SECRET = 'a secret of at least 32 bytes for abuse'
const MB = 2 ** 20

const server = await start({ store: 'redb', env: { QUIRE_AUTH_SECRET: SECRET, QUIRE_LOG: 'warn' } })
const pass = sub => ({ params: { token: token(SECRET, { sub, docs: [{ prefix: '', access: 'write' }] }) } })
const writer = openClient(server, 'doc', pass('ada'))
const reader = openClient(server, 'doc', pass('bob'))
await Promise.all([writer.waitSynced(), reader.waitSynced()])

let edits = 0
let samples = []
const sent = new Map()
reader.doc.getMap('marks').observe(event => {
  for (const key of event.keysChanged) {
    const at = sent.get(key)
    if (at !== undefined) samples.push(performance.now() - at)
    sent.delete(key)
  }
})
const editing = setInterval(() => {
  const key = String(edits++ % 100)
  sent.set(key, performance.now())
  writer.doc.getMap('marks').set(key, edits)
}, 25)

/** The round trips since the last call, and the memory at present. */
function figures (label) {
  const sorted = samples.sort((a, b) => a - b)
  const at = share => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
  const { rss, peak } = server.memory()
  const found = { label, edits: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1), rss: rss / MB, peak: peak / MB }
  console.log(`${label.padEnd(34)} ${String(found.edits).padStart(6)} edits  p50 ${found.p50.toFixed(1)} ms  p99 ${found.p99.toFixed(1)} ms` +
    `  max ${found.max.toFixed(1)} ms  rss ${found.rss.toFixed(1)} MiB  peak ${found.peak.toFixed(1)} MiB`)
  samples = []
  return found
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds))
await pause(5_000)
const calm = figures('nobody attacks')
const attacker = fork(fileURLToPath(new URL('attacker.mjs', import.meta.url)), [server.port, idle, slow, refusals])
const told = phase => new Promise((resolve, reject) => {
  attacker.on('message', message => { if (message.phase === phase) resolve(message) })
  attacker.once('exit', code => { if (code) reject(new Error(`the attacker ended with ${code}`)) })
})
const [opened, refused] = [told('open'), told('refused')]
const open = await opened
await pause(5_000)
const crowded = figures(`${open.idle} idle, ${open.slow} slow`)
const done = await refused
const stormed = figures(`and ${done.refused} refused in ${done.seconds.toFixed(0)} s`)
console.log(`${Math.round(done.refused / done.seconds)} refusals in a second; ${done.other} other answers; ${done.lost} strangers' connections closed`)
await pause(15_000)
const after = figures('15 s after')
clearInterval(editing)
for (const client of [writer, reader]) client.destroy()
await server.stop()

const faults = [
  crowded.p99 < 100 || `p99 ${crowded.p99} ms beside idle and slow connections`,
  stormed.p99 < 100 || `p99 ${stormed.p99} ms beside refusals`,
  done.refused === refusals || `only ${done.refused} of ${refusals} were refused with 401`,
  after.rss - crowded.rss < 16 || `memory grew from ${crowded.rss} to ${after.rss} MiB`,
  writer.connections === 1 || 'the writer was disconnected',
  server.panics().length === 0 || server.panics().join('\n'),
  calm.edits > 0 || 'no edit arrived'
].filter(found => found !== true)
for (const fault of faults) console.error(`fault: ${fault}`)
await server.dispose()
process.exit(faults.length === 0 ? 0 : 1)
