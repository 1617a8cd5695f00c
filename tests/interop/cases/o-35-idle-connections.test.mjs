// O-35 An idle connection carries traffic both ways at least every 25 s, of a kind the stock client counts.
//
// Fault: alone in a document the client reconnected every 30 s because the server did not echo presence; behind a proxy,
// every 60 s.
// Long form: 5 minutes, and a proxy that ends a connection after 60 s of silence in one direction. Short form: 40 s (the
// stock client gives up after 30 s without a message), and a proxy that allows 26 s.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { start } from '../lib/server.mjs'
import { idleProxy } from './lib/idle-proxy.mjs'
import { quireTransports, transports } from './lib/transports.mjs'
import { limit, size } from './lib/size.mjs'

const IDLE_MS = size(300_000, 40_000)
const PROXY_MS = size(60_000, 26_000)
const LONGEST_SILENCE = 25_000

test('O-35 a stock client alone in a document keeps its one connection, with and without a proxy', limit(400_000, 90_000), async t => {
  const server = await start({ t })
  const proxy = await idleProxy(server, PROXY_MS, { t })
  const clients = []
  for (const [i, transport] of transports.entries()) {
    for (const presence of [true, false]) {
      for (const [way, entry] of [['directly', server], ['through a proxy', proxy]]) {
        const client = transport.open(entry, `alone-${i}-${presence}-${way}`, { t, presence })
        clients.push({ client, told: `${transport.name}, presence ${presence ? 'on' : 'off'}, ${way}` })
      }
    }
  }
  // Over HTTP a stream carries nothing up, and a poll nothing for 25 s: they are tried without the proxy.
  for (const transport of quireTransports) {
    for (const presence of [true, false]) {
      const client = transport.open(server, `alone-${transport.name}-${presence}`, { t, presence })
      clients.push({ client, told: `${transport.name}, presence ${presence ? 'on' : 'off'}`, isHttp: transport.name.includes('POST') })
    }
  }
  await Promise.all(clients.map(({ client }) => client.waitSynced()))
  // What belongs to the beginning.
  await new Promise(resolve => setTimeout(resolve, 2_000))
  for (const entry of clients) entry.before = entry.client.requests?.length
  await new Promise(resolve => setTimeout(resolve, IDLE_MS))

  for (const { client, told, isHttp, before } of clients) {
    assert.ok(client.connected && client.synced, `${told}: ${client.events.join(' ')}`)
    assert.equal(client.connections, 1, `${told}: ${client.events.join(' ')}`)
    if (isHttp) {
      const requests = client.requests.length - before
      t.diagnostic(`${told}: ${requests} requests in ${IDLE_MS / 1_000} s`)
      // At most one in ten seconds, and one that may stand at either end.
      assert.ok(requests <= IDLE_MS / 10_000 + 1, `${told}: ${JSON.stringify(client.requests.slice(before))}`)
    }
  }
  const { up, down } = proxy.measure()
  t.diagnostic(`longest silence: ${(up / 1_000).toFixed(1)} s up, ${(down / 1_000).toFixed(1)} s down`)
  assert.equal(proxy.ended, 0, 'connections ended by the proxy')
  assert.ok(up <= LONGEST_SILENCE, `the client side was silent for ${up} ms`)
  assert.ok(down <= LONGEST_SILENCE, `the server side was silent for ${down} ms`)
})
