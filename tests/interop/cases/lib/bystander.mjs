// Someone who only works next to the trouble: measures how long an edit takes from one client to another in a room.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { documentUrl } from '../../lib/client.mjs'

/** Two raw clients in `room`, editing every `every` milliseconds, in a thread of their own, until `stop`. */
export async function bystander (server, room, { t, every = 20, key = 'probe' } = {}) {
  const worker = new Worker(new URL('./bystander-worker.mjs', import.meta.url), { workerData: { url: documentUrl(server, room), every, key } })
  t?.after(() => worker.terminate())
  await once(worker, 'message')
  return {
    /** Ends it; resolves with the round trips in milliseconds (10,000: lost) and the codes of closes it met. */
    async stop () {
      // Both are waited for from the beginning: a worker's last message and its end can come in one turn.
      const [last, end] = [once(worker, 'message'), once(worker, 'exit')]
      worker.postMessage('stop')
      const [{ samples, closes }] = await last
      await end
      samples.sort((a, b) => a - b)
      const at = share => samples[Math.min(samples.length - 1, Math.floor(samples.length * share))]
      return { count: samples.length, median: at(0.5), p99: at(0.99), max: samples.at(-1), closes }
    }
  }
}

/** Asserts that the bystander stayed connected and that 99 of 100 of its edits took less than `limit` milliseconds. */
export function assertCalm (report, limit, who = 'the client in another room') {
  const told = `${who}: ${report.count} round trips, median ${report.median?.toFixed(1)}, p99 ${report.p99?.toFixed(1)}, max ${report.max?.toFixed(1)} ms`
  assert.deepEqual(report.closes, [], `${who} was disconnected`)
  assert.ok(report.count >= 10, `too few round trips to judge: ${told}`)
  assert.ok(report.p99 < limit, `${told}; p99 must stay below ${limit}`)
  assert.ok(report.max < 10_000, `an edit was lost: ${told}`)
  return told
}
