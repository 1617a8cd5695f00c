// Starts the server binary under test, ends it by its process id, and measures it.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { within } from './wait.mjs'

export const repoRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

const MAX_LOG_LINES = 20_000
const alive = new Set()

// A test process that ends for whatever reason leaves no server behind.
process.on('exit', () => { for (const child of alive) child.kill('SIGKILL') })

/** The binary under test: QUIRE_BIN, else debug/quire of the target folder. */
export function binaryPath () {
  if (process.env.QUIRE_BIN) return resolve(process.env.QUIRE_BIN)
  const target = process.env.CARGO_TARGET_DIR ? resolve(process.env.CARGO_TARGET_DIR) : join(repoRoot, 'target')
  const path = join(target, 'debug', 'quire')
  if (!existsSync(path)) {
    throw new Error(`no server binary at ${path}: build it (cargo build -p quire-server) or set QUIRE_BIN`)
  }
  return path
}

/**
 * @typedef {object} ServerOptions
 * @property {string} [store] redb (the default), sled, memory, or postgres://...
 * @property {string} [dataDir] an existing data folder; else a temporary one that is removed at the end
 * @property {number} [port] default: any free one
 * @property {string[]} [faults] values of --fault-injection, such as 'store-delay=500ms'
 * @property {string[]} [args] further arguments of `quire serve`
 * @property {Record<string, string | undefined>} [env] added to the environment
 * @property {string[]} [wrap] a command that executes the server in its own place, such as ['prlimit', '--as=536870912']
 * @property {number} [deadline] milliseconds until it must listen, default 20 s
 * @property {{ after: (fn: () => unknown) => void }} [t] a test context: the server is disposed of after that test
 */

/** Starts a server and resolves once it accepts connections. @param {ServerOptions} options */
export async function start (options = {}) {
  const server = new Server(options)
  options.t?.after(() => server.dispose())
  await server.launch()
  return server
}

export class Server {
  #child = null
  #exit = null
  #lines = []
  #partial = ''
  #ownsFolder
  /** Called with each line of the log as it comes. */
  onLine = null

  constructor (options) {
    this.options = options
    this.store = options.store ?? 'redb'
    this.port = options.port ?? 0
    this.#ownsFolder = options.dataDir === undefined
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'quire-interop-'))
  }

  get pid () { return this.#child?.pid }
  get running () { return this.#child !== null }
  /** http://127.0.0.1:PORT */
  get url () { return `http://127.0.0.1:${this.port}` }
  get wsUrl () { return `ws://127.0.0.1:${this.port}` }

  /** The command line (without the binary), for messages. */
  args () {
    const store = this.store.startsWith('postgres://')
      ? this.store
      : { redb: 'redb', sled: `sled:${join(this.dataDir, 'sled')}`, memory: 'memory' }[this.store]
    if (store === undefined) throw new Error(`unknown store ${this.store}`)
    return ['serve', '--listen', `127.0.0.1:${this.port}`, '--data', this.dataDir, '--store', store,
      ...(this.options.faults ?? []).flatMap(fault => ['--fault-injection', fault]),
      ...(this.options.args ?? [])]
  }

  async launch () {
    if (this.#child) throw new Error('the server already runs')
    const [command, ...before] = [...(this.options.wrap ?? []), binaryPath()]
    const child = spawn(command, [...before, ...this.args()], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, QUIRE_LOG: process.env.QUIRE_LOG ?? 'info', ...this.options.env }
    })
    this.#child = child
    alive.add(child)
    this.#exit = new Promise(resolve => {
      child.once('error', error => { alive.delete(child); this.#child = null; resolve({ code: null, signal: null, error }) })
      child.once('exit', (code, signal) => { alive.delete(child); this.#child = null; resolve({ code, signal }) })
    })
    child.stderr.setEncoding('utf8').on('data', text => this.#collect(text))
    const listening = new Promise((resolve, reject) => {
      let seen = ''
      child.stdout.setEncoding('utf8').on('data', text => {
        seen = (seen + text).slice(-10_000)
        const found = /quire listens on https?:\/\/\S*?:(\d+)/.exec(seen)
        if (found) resolve(Number(found[1]))
      })
      this.#exit.then(end => reject(new Error(`the server ended before it listened: ${JSON.stringify(end)}`, { cause: end.error })))
    })
    try {
      this.port = await within(listening, this.options.deadline ?? 20_000, 'the line "quire listens on ..."')
    } catch (error) {
      await this.kill('SIGKILL')
      error.message += `\n  command: ${binaryPath()} ${this.args().join(' ')}\n  log:\n${this.logs().split('\n').slice(-30).join('\n')}`
      throw error
    }
  }

  #collect (text) {
    const lines = (this.#partial + text).split('\n')
    this.#partial = lines.pop()
    this.#lines.push(...lines)
    if (this.onLine) for (const line of lines) this.onLine(line)
    if (this.#lines.length > MAX_LOG_LINES) this.#lines.splice(0, this.#lines.length - MAX_LOG_LINES)
    if (process.env.QUIRE_SHOW_LOGS) for (const line of lines) process.stderr.write(`[quire ${this.pid}] ${line}\n`)
  }

  /** What it wrote to stderr, all lives of this object together. */
  logs () { return [...this.#lines, this.#partial].join('\n') }
  logLines () { return [...this.#lines] }
  /** Log lines that show a panic: must stay empty. */
  panics () { return this.#lines.filter(line => /panicked at|stack overflow|SIGSEGV|memory allocation of/.test(line)) }

  /** Sends a signal and waits for the end. Resolves with {code, signal}; null if it did not run. */
  async kill (signal = 'SIGKILL', deadline = 15_000) {
    const child = this.#child
    if (!child) return null
    const exit = this.#exit
    child.kill(signal)
    try {
      return await within(exit, deadline, `the server to end after ${signal}`)
    } catch (error) {
      child.kill('SIGKILL')
      await exit
      throw error
    }
  }

  /** Sends a signal without waiting. */
  signal (signal) { this.#child?.kill(signal) }
  /** Resolves with {code, signal} when the present process ends. */
  exited () { return this.#exit }
  /** A graceful end: SIGTERM. */
  stop (deadline) { return this.kill('SIGTERM', deadline) }

  /** Ends it (default SIGKILL) if it runs, and starts it again on the same folder and port. */
  async restart (signal = 'SIGKILL', options = {}) {
    await this.kill(signal)
    this.options = { ...this.options, ...options }
    await this.launch()
  }

  /** Log lines that show a token, a ticket or the secret of this server: must stay empty, and `dispose` sees to it. */
  secrets () {
    const secret = this.options.env?.QUIRE_AUTH_SECRET
    return this.#lines.filter(line => /eyJ[\w-]{10,}|ticket_[0-9a-f]{16}/.test(line) || (secret && line.includes(secret)))
  }

  /** Ends it by SIGKILL and removes its folder (kept if QUIRE_KEEP is set). */
  async dispose () {
    await this.kill('SIGKILL')
    const secrets = this.secrets()
    if (secrets.length) throw new Error(`the log shows secrets:\n${secrets.slice(0, 5).join('\n')}`)
    if (this.#ownsFolder && !process.env.QUIRE_KEEP) rmSync(this.dataDir, { recursive: true, force: true })
  }

  /** A plain HTTP request to the server. */
  fetch (path, init) { return fetch(this.url + path, init) }

  /** Resident memory in bytes; `peak` is the highest so far. */
  memory () {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    const field = name => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN) * 1024
    return { rss: field('VmRSS'), peak: field('VmHWM') }
  }

  /** Number of open file descriptors. */
  async openFiles () { return (await readdir(`/proc/${this.pid}/fd`)).length }

  /** Size of the data folder in bytes: `allocated` on the device, `apparent` by file length. */
  async diskSize (folder = this.dataDir) {
    const sum = { allocated: 0, apparent: 0 }
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      try {
        if (entry.isDirectory()) {
          const inner = await this.diskSize(path)
          sum.allocated += inner.allocated
          sum.apparent += inner.apparent
        } else {
          const stat = await lstat(path)
          sum.allocated += stat.blocks * 512
          sum.apparent += stat.size
        }
      } catch (error) {
        if (error.code !== 'ENOENT') throw error // a file may vanish while we look
      }
    }
    return sum
  }
}
