// Very many stock clients that join one document at the same moment, in several threads.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const THREADS = 5

/**
 * `count` clients on all transports join within a moment; each inserts `template` at its first sync if the document
 * is empty then.
 * @returns the lengths of the text at the moment of each "synced", how often each client connected, how long the calls to
 *   connect took at most, and after how long the last client was synced (milliseconds)
 */
export async function joinAtOnce (server, name, { t, count, template, deadline }) {
  const each = count / THREADS
  const workers = Array.from({ length: THREADS }, (_, i) => new Worker(new URL('./joiners-worker.mjs', import.meta.url), {
    workerData: { entry: { url: server.url, wsUrl: server.wsUrl }, name, count: each, first: i * each, deadline, template },
    resourceLimits: { maxOldGenerationSizeMb: 4_096 }
  }))
  for (const worker of workers) t.after(() => worker.terminate())
  await Promise.all(workers.map(worker => once(worker, 'message')))
  const answers = workers.map(worker => once(worker, 'message'))
  for (const worker of workers) worker.postMessage('go')
  const results = (await Promise.all(answers)).map(([result]) => result)
  return {
    lengths: results.flatMap(result => result.lengths),
    connections: results.flatMap(result => result.connections),
    took: Math.max(...results.map(result => result.took)),
    after: Math.max(...results.map(result => result.after))
  }
}
