// Several servers over one PostgreSQL, which hear of each other through a Redis behind a wire cutter.

import { cut } from './cutter.mjs'
import { start } from './server.mjs'
import { postgres, redis } from './services.mjs'
import { waitFor } from './wait.mjs'

/** Starts services and servers. @param {{ args?: string[], relay?: boolean }} [options] relay false: Redis is not there yet */
export async function nodes (t, count, { args = [], ...options } = {}) {
  const [database, relay] = await Promise.all([postgres(t), redis(t)])
  const wire = await cut(relay, { t })
  const launch = () => start({
    t, store: database.url, args: ['--redis', `redis://127.0.0.1:${wire.port}`, ...args], ...options
  })
  const servers = await Promise.all(Array.from({ length: count }, launch))
  await connected(servers)
  return { database, relay, wire, servers, launch }
}

/** What `/readyz` says is not as it should be. */
export async function degraded (server) {
  const answer = await (await fetch(`${server.url}/readyz`)).json()
  return (answer.degraded ?? []).map(({ code }) => code)
}

/** Waits until all of them hear each other. */
export async function connected (servers, deadline = 15_000) {
  for (const server of servers) {
    await waitFor(async () => (await degraded(server)).length === 0, deadline, 'a server to be connected to Redis')
  }
}

/** The value of a metric of a server. */
export async function metric (server, name) {
  const page = await (await fetch(`${server.url}/metrics`)).text()
  const line = page.split('\n').find(line => line.startsWith(`quire_${name} `))
  return Number(line?.split(' ')[1])
}
