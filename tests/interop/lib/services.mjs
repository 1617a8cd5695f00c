// A real PostgreSQL and a real Redis for tests, each in a temporary folder, on a free port of 127.0.0.1, ended with its test.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { waitFor, within } from './wait.mjs'

const alive = new Set()
process.on('exit', () => { for (const child of alive) child.kill('SIGKILL') })

export function freePort () {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)) })
  })
}

function answers (port) {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => resolve(false))
  })
}

class Service {
  #child = null
  #exit = null

  constructor (name) {
    this.folder = mkdtempSync(join(tmpdir(), `quire-${name}-`))
  }

  get pid () { return this.#child?.pid }

  async run (command, args, options = {}) {
    const child = spawn(command, args, { stdio: 'ignore', ...options })
    this.#child = child
    alive.add(child)
    this.#exit = new Promise(resolve => child.once('exit', resolve)).then(() => { alive.delete(child); this.#child = null })
    await waitFor(async () => this.#child === child && await answers(this.port), 20_000, `${command} to listen`)
  }

  async end (signal) {
    if (!this.#child) return
    this.#child.kill(signal)
    await within(this.#exit, 20_000, `a service to end after ${signal}`)
  }

  async dispose () {
    await this.end('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Redis, keeping nothing over a restart. */
export async function redis (t) {
  const service = new Redis('redis')
  t?.after(() => service.dispose())
  service.port = await freePort()
  await service.start()
  return service
}

class Redis extends Service {
  get url () { return `redis://127.0.0.1:${this.port}` }
  start () {
    return this.run('redis-server', ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.folder])
  }

  stop () { return this.end('SIGKILL') }

  /** Ends all connections that are subscribed to something, as an administrator would. */
  async killSubscribers () {
    const socket = connect({ port: this.port, host: '127.0.0.1' })
    socket.write('CLIENT KILL TYPE pubsub\r\n')
    const [answer] = await within(new Promise(resolve => socket.once('data', data => resolve([String(data)]))), 5_000, 'an answer of Redis')
    socket.destroy()
    return Number(answer.replace(/^:/, ''))
  }
}

/** PostgreSQL with an empty database. */
export async function postgres (t) {
  const service = new Postgres('postgres')
  t?.after(() => service.dispose())
  service.port = await freePort()
  await service.start()
  return service
}

class Postgres extends Service {
  get url () { return `postgres://quire@127.0.0.1:${this.port}/postgres` }

  async start () {
    const bin = programs()
    // PostgreSQL refuses to run as root.
    const user = process.getuid() === 0 ? unprivileged() : {}
    const data = join(this.folder, 'data')
    if (!existsSync(data)) {
      if (user.uid !== undefined) chownSync(this.folder, user.uid, user.gid)
      execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'quire', '-A', 'trust', '-E', 'UTF8', '--no-locale', '-N'], { stdio: 'ignore', ...user })
    }
    await this.run(join(bin, 'postgres'), ['-D', data, '-p', String(this.port), '-h', '127.0.0.1', '-k', this.folder, '-c', 'fsync=off', '-c', 'max_connections=200'], user)
    // It takes connections some time before it serves them.
    await waitFor(() => spawnSync(join(bin, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(this.port), '-q']).status === 0, 20_000, 'PostgreSQL to be ready')
  }

  stop () { return this.end('SIGQUIT') }
}

function programs () {
  const found = spawnSync('sh', ['-c', 'command -v initdb'], { encoding: 'utf8' }).stdout.trim()
  // A link leads to where all of them are.
  if (found) return dirname(realpathSync(found))
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').sort((a, b) => b - a) : []
  if (versions.length === 0) throw new Error('no PostgreSQL: install it (apt-get install postgresql)')
  return `/usr/lib/postgresql/${versions[0]}/bin`
}

function unprivileged () {
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map(flag => spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout.trim())
    if (uid) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('there is no user that PostgreSQL could run as')
}
