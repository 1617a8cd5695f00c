// A thread of its own for some of very many stock clients, with a heap of its own: all connect at one word.

import { parentPort, workerData } from 'node:worker_threads'
import { waitFor } from '../../lib/client.mjs'
import { allTransports } from './transports.mjs'

const { entry, name, count, first, deadline, template } = workerData

const lengths = []
const clients = Array.from({ length: count }, (_, i) => {
  const client = allTransports[(first + i) % allTransports.length].open(entry, name, { connect: false })
  client.provider.on('sync', synced => {
    if (!synced) return
    lengths.push(client.text().length)
    // What applications do that fill a new document.
    if (client.text().length === 0) client.text().insert(0, template)
  })
  return client
})
parentPort.postMessage('ready')
parentPort.once('message', async () => {
  const from = performance.now()
  for (const client of clients) client.connect()
  const took = performance.now() - from
  await waitFor(() => lengths.length >= count, deadline, 'first syncs', 50).catch(() => {})
  parentPort.postMessage({ lengths, took, connections: clients.map(client => client.connections), after: performance.now() - from })
  for (const client of clients) client.destroy()
  parentPort.close()
})
