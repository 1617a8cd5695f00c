// System calls of a server, as strace writes them down: which ones ended before which others began.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { waitFor } from '../lib/wait.mjs'

const TRACED = 'pwrite64,pwritev,fdatasync,fsync,sendto,sendmsg,write,writev'

/** A command that runs the server in its own place and traces it into `file`. */
export const tracing = file => ['strace', '-D', '-f', '-y', '-s', '2000000', '-e', `trace=${TRACED}`, '-o', file]

/**
 * Makes system calls of a running server fail or wait, as strace's `inject` says, from when this resolves until what it resolves with
 * is called, or the test is over.
 */
export async function inject (server, injection, t) {
  const strace = spawn('strace', ['-f', '-o', '/dev/null', '-e', `trace=${injection.split(':')[0]}`, '-e', `inject=${injection}`, '-p', String(server.pid)],
    { stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = once(strace, 'exit')
  const heal = async () => {
    strace.kill('SIGINT')
    await gone
  }
  t.after(heal)
  let said = ''
  strace.stderr.setEncoding('utf8').on('data', text => { said += text })
  await waitFor(() => / attached/.test(said), 10_000, () => `strace to attach; it said ${said}`)
  return heal
}

/** Why nothing can be traced here; `false` if it can. */
export function cannotTrace () {
  const { error, status } = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'])
  if (error) return 'there is no strace (on Debian: apt-get install strace)'
  return status === 0 ? false : 'strace may not trace processes here'
}

/**
 * @typedef {object} Call
 * @property {string} name
 * @property {string} args with descriptors as NUMBER<PATH>
 * @property {number} begin the line on which it began
 * @property {number} end the line on which it ended
 * @property {string} result
 */

/** The calls of a trace in the order of their ends. @returns {Call[]} */
export function calls (trace) {
  const open = new Map()
  const found = []
  for (const [line, text] of trace.split('\n').entries()) {
    const [, pid, rest] = /^(\d+) +(.*)$/s.exec(text) ?? []
    if (pid === undefined) continue
    const unfinished = /^(\w+)\((.*) <unfinished \.\.\.>$/s.exec(rest)
    const resumed = /^<\.\.\. (\w+) resumed>(.*)\) += (.*)$/s.exec(rest)
    const whole = /^(\w+)\((.*)\) += (.*)$/s.exec(rest)
    if (unfinished) {
      open.set(pid, { name: unfinished[1], args: unfinished[2], begin: line })
    } else if (resumed && open.has(pid)) {
      const { name, args, begin } = open.get(pid)
      open.delete(pid)
      found.push({ name, args: args + resumed[2], begin, end: line, result: resumed[3] })
    } else if (whole) {
      found.push({ name: whole[1], args: whole[2], begin: line, end: line, result: whole[3] })
    }
  }
  return found
}

const path = call => /^\d+<([^>]*)>/.exec(call.args)?.[1] ?? ''
const succeeded = call => /^\d/.test(call.result)

/**
 * What happened to one edit, by a text that only it holds: the first write of it into a file below `folder`, the first sync of
 * that file to the device that began after that, and the first time it was sent. Each is `undefined` if it did not happen.
 */
export function story (found, text, folder) {
  const of = found.filter(call => call.args.includes(text) && succeeded(call))
  const write = of.find(call => call.name.startsWith('pwrite') && path(call).startsWith(folder))
  const sync = write && found.find(call => (call.name === 'fdatasync' || call.name === 'fsync') &&
    path(call) === path(write) && call.begin > write.end && succeeded(call))
  const sent = of.filter(call => !path(call).startsWith(folder)).sort((a, b) => a.begin - b.begin)[0]
  return { write, sync, sent }
}
