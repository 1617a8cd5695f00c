// A thread of its own, so that a busy test does not spoil the measurement: two clients in one room, one edit at a time.

import { workerData, parentPort } from 'node:worker_threads'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { EMPTY_UPDATE, step1, step2, update as updateFrame } from '../../lib/frames.mjs'

const LOST_MS = 10_000

const { url, every, key } = workerData
const samples = []
const closes = []
let stopping = false

function open () {
  const ws = new WebSocket(url, { perMessageDeflate: false, maxPayload: 2 ** 30 })
  ws.binaryType = 'nodebuffer'
  ws.on('error', () => {})
  ws.on('close', code => { if (!stopping) closes.push(code) })
  return new Promise((resolve, reject) => {
    ws.once('open', () => { ws.send(step1()); ws.send(step2(EMPTY_UPDATE)); resolve(ws) })
    ws.once('error', reject)
  })
}

const [writer, reader] = await Promise.all([open(), open()])
const doc = new Y.Doc()
doc.on('update', update => writer.send(updateFrame(update)))

let awaited = null
reader.on('message', data => { if (awaited && data.includes(awaited.marker)) awaited.arrived() })

let round = 0
async function trip () {
  const marker = `<${key} ${doc.clientID} ${round++}>`
  const from = performance.now()
  const arrival = new Promise(resolve => {
    const late = setTimeout(resolve, LOST_MS)
    awaited = { marker, arrived: () => { clearTimeout(late); resolve() } }
  })
  doc.getMap('bystander').set(key, marker)
  await arrival
  awaited = null
  samples.push(performance.now() - from)
}

await trip()
samples.length = 0
parentPort.postMessage('ready')
parentPort.on('message', () => { stopping = true })
while (!stopping) {
  await trip()
  await new Promise(resolve => setTimeout(resolve, every))
}
parentPort.postMessage({ samples, closes })
writer.terminate()
reader.terminate()
parentPort.close()
