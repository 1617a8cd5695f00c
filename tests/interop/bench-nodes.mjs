// What an edit costs on one, two and four servers: processor time of the servers, PostgreSQL and Redis, and how long it takes to be
// seen at the other servers. Prints JSON. Start it with QUIRE_BIN set to a release build: just bench-nodes

import { readFileSync, readdirSync } from 'node:fs'
import { openClient, waitFor } from './lib/client.mjs'
import { nodes } from './lib/nodes.mjs'

const DOCUMENTS = 20
const SECONDS = 10
const EDITS_A_SECOND = 200

const after = []
const t = { after: fn => after.push(fn) }
const ticks = 100

/** Processor seconds of a process and those that it has started. */
function seconds (pid) {
  const children = new Map()
  const own = new Map()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      own.set(Number(name), (Number(fields[11]) + Number(fields[12])) / ticks)
      const parent = Number(fields[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch { /* It has ended. */ }
  }
  const sum = pid => (own.get(pid) ?? 0) + (children.get(pid) ?? []).reduce((all, child) => all + sum(child), 0)
  return sum(pid)
}

const results = []
for (const count of [1, 2, 4]) {
  const { servers, database, relay } = await nodes(t, count)
  const authors = Array.from({ length: DOCUMENTS }, (_, doc) => openClient(servers[doc % count], `bench-${doc}`))
  const readers = servers.flatMap((server, at) => Array.from({ length: DOCUMENTS }, (_, doc) => ({ doc, at, client: openClient(server, `bench-${doc}`) })))
  await Promise.all([...authors, ...readers.map(({ client }) => client)].map(client => client.waitSynced(30_000)))
  const sent = new Map()
  const latencies = []
  for (const { doc, at, client } of readers) {
    if (at === doc % count && count > 1) continue
    client.text().observe(event => {
      for (const { insert } of event.delta) {
        for (const word of String(insert ?? '').match(/\d+;/g) ?? []) {
          const begun = sent.get(word)
          if (begun !== undefined) latencies.push(performance.now() - begun)
        }
      }
    })
  }
  const all = () => ({ servers: servers.reduce((sum, server) => sum + seconds(server.pid), 0), postgres: seconds(database.pid), redis: seconds(relay.pid) })
  const before = all()
  const begun = performance.now()
  let edits = 0
  while (performance.now() - begun < SECONDS * 1000) {
    while (edits < (performance.now() - begun) / 1000 * EDITS_A_SECOND) {
      const word = `${edits};`
      sent.set(word, performance.now())
      authors[edits % DOCUMENTS].text().insert(0, word)
      edits++
    }
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  await Promise.all(authors.map(author => author.waitConfirmed()))
  for (const { doc, client } of readers) await waitFor(() => client.text().length === authors[doc].text().length, 10_000, 'a reader to have everything')
  const spent = all()
  latencies.sort((a, b) => a - b)
  const at = share => Math.round(latencies[Math.floor(latencies.length * share)] * 10) / 10
  const micros = name => Math.round((spent[name] - before[name]) * 1e6 / edits)
  results.push({ nodes: count, edits, us_per_edit: { servers: micros('servers'), postgres: micros('postgres'), redis: micros('redis') }, seen_ms: { p50: at(0.5), p99: at(0.99) } })
  for (const client of [...authors, ...readers.map(({ client }) => client)]) client.destroy()
  for (const fn of after.splice(0).reverse()) await fn()
}
console.log(JSON.stringify(results, null, 2))
process.exit()
