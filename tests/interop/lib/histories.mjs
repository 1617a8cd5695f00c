// Random edit histories, made with the real yjs: what several clients write, and a plan by which it reaches a server.
// Everything follows from a seed; every kind of edit and of delivery can be switched off, and single edits left out.

import * as Y from 'yjs'
import { passiveDoc } from './compare.mjs'
import { edit } from './edits.mjs'
import { Random } from './seed.mjs'

/** Kinds of edits. `keepDeleted`: some authors do not collect what is deleted; `offline`: they see each other only now and then. */
export const EDITS = ['text', 'emoji', 'surrogates', 'format', 'jsonSurrogates', 'embed', 'map', 'array', 'nested', 'replace',
  'xml', 'hook', 'subdocuments', 'undo', 'oddNumbers', 'bigints', 'binary', 'nothing', 'bigIds', 'offline', 'keepDeleted']

/**
 * What may happen to the server's copy between two deliveries. `restart`: the process is killed; `retire`: the document leaves
 * memory and is loaded again.
 */
export const EVENTS = ['restart', 'retire']

/** Kinds of deliveries. `sync`: full states and differences as a client answers a question; `senders`: several connections. With all of them off, every update goes in order, once, by itself. */
export const DELIVERIES = ['reorder', 'merge', 'twice', 'withhold', 'sync', 'senders', ...EVENTS]

const REMOTE = 'remote'
const SPECIAL_IDS = [0, 1, 2, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 + 1, 2 ** 53 - 2, 2 ** 53 - 1]

/**
 * @typedef {object} History
 * @property {number} seed
 * @property {string[]} kinds what was switched on
 * @property {number} operations how many edits were tried
 * @property {Array<{ sender: number, as: 'update' | 'step2', update: Uint8Array, how: string } | { event: 'restart' | 'retire' }>} steps
 * @property {typeof History.steps} late what was withheld: to be sent after a first comparison
 */

/**
 * @param {number} seed
 * @param {{ without?: Iterable<string>, leaveOut?: Set<number>, operations?: number }} [options]
 *   `without`: kinds switched off; `leaveOut`: indexes of edits that are not made
 * @returns {History}
 */
export function makeHistory (seed, { without = [], leaveOut = new Set(), operations } = {}) {
  const off = new Set(without)
  const on = kind => !off.has(kind)
  const random = new Random(seed)
  // Each history uses only some kinds, so that rare pairs of kinds meet more often; the choice does not depend on `without`.
  const chosen = new Set([...EDITS, ...DELIVERIES].filter(() => random.chance(0.7)))
  if (!['text', 'map', 'array', 'xml'].some(kind => chosen.has(kind))) chosen.add('text')
  // An author who only looks into a pair (a format that changes nothing) has two halves from then on and says so in its states, while
  // nobody else has. yjs keeps what it integrates first, so with states and with updates that come early peers of yjs differ among
  // themselves, and there is nothing to compare with.
  if (chosen.has('surrogates') && chosen.has('sync') && ['reorder', 'merge', 'twice', 'withhold'].some(kind => chosen.has(kind))) {
    chosen.delete(random.pick(['surrogates', 'sync']))
  }
  const uses = kind => chosen.has(kind) && on(kind)
  const count = operations ?? random.int(15, 70)
  const updates = write(random.fork(1), uses, count, leaveOut)
  const { steps, late } = plan(random.fork(2), uses, updates)
  return { seed, kinds: [...chosen].filter(on), operations: count, steps, late }
}

function clientIds (random, uses, count) {
  const ids = new Set()
  while (ids.size < count) ids.add(uses('bigIds') && random.chance(0.5) ? random.pick(SPECIAL_IDS) : random.int(3, 2 ** 32 - 1))
  return [...ids]
}

/** The clients edit and now and then see each other. Returns their updates in the order they were made. */
function write (random, uses, count, leaveOut) {
  const updates = []
  const clients = clientIds(random, uses, random.int(2, 4)).map(id => {
    const doc = new Y.Doc({ gc: !(uses('keepDeleted') && random.chance(0.5)) })
    doc.clientID = id
    doc.on('update', (update, origin) => { if (origin !== REMOTE) updates.push({ client: id, update, how: 'single' }) })
    const client = { id, doc, vectors: [Uint8Array.of(0)] }
    client.undo = new Y.UndoManager([doc.getText('text'), doc.getMap('map'), doc.getArray('array'), doc.getXmlFragment('xml')],
      { captureTimeout: 10 ** 12, trackedOrigins: new Set([null]) })
    return client
  })
  const meet = (to, from) => Y.applyUpdate(to.doc, Y.encodeStateAsUpdate(from.doc, Y.encodeStateVector(to.doc)), REMOTE)
  for (let n = 0; n < count; n++) {
    // One generator for each edit, so that leaving one out does not shift the others.
    const own = random.fork(1_000 + n)
    if (leaveOut.has(n)) continue
    const client = own.pick(clients)
    if (uses('undo') && own.chance(0.12)) {
      own.chance(0.6) ? client.undo.undo() : client.undo.redo()
    } else {
      if (own.chance(0.5)) client.undo.stopCapturing()
      const times = own.chance(0.2) ? own.int(2, 5) : 1
      client.doc.transact(() => { for (let i = 0; i < times; i++) edit(client.doc, own, uses) })
    }
    if (own.chance(0.15)) client.vectors.push(Y.encodeStateVector(client.doc))
    if (uses('sync') && own.chance(0.12)) {
      const vector = own.pick(client.vectors)
      updates.push({ client: client.id, update: Y.encodeStateAsUpdate(client.doc, vector), how: vector.length === 1 ? 'state' : 'diff', as: 'step2' })
    }
    if (!uses('offline')) for (const other of clients) { if (other !== client) meet(other, client) } // live: everyone sees it at once
    else if (own.chance(0.35)) meet(own.pick(clients), client)
  }
  for (const client of clients) {
    if (uses('sync') && random.chance(0.3)) updates.push({ client: client.id, update: Y.encodeStateAsUpdate(client.doc), how: 'state', as: 'step2' })
    client.undo.destroy()
  }
  return updates
}

/** In which frames, in which order, and by which of up to three connections the updates reach the server. */
function plan (random, uses, updates) {
  let frames = updates.map(({ update, how, as = 'update' }) => ({ update, how, as }))
  if (uses('merge')) {
    const merged = []
    while (frames.length > 0) {
      if (random.chance(0.2)) {
        const group = frames.splice(0, random.int(2, 6))
        merged.push({ update: Y.mergeUpdates(group.map(f => f.update)), how: `merged ${group.length}`, as: random.chance(0.3) ? 'step2' : 'update' })
      } else if (random.chance(0.05) && frames.length > 4) {
        // Not neighbours: the merged update has gaps.
        const group = [frames.shift(), ...frames.splice(random.int(1, frames.length - 1), 2)]
        merged.push({ update: Y.mergeUpdates(group.map(f => f.update)), how: `merged with gaps ${group.length}`, as: 'update' })
      } else {
        merged.push(frames.shift())
      }
    }
    frames = merged
  }
  const late = []
  if (uses('withhold')) {
    frames = frames.filter(frame => {
      if (!random.chance(0.06) || late.length > 8) return true
      late.push(frame)
      return false
    })
  }
  if (uses('twice')) {
    for (const frame of frames.filter(() => random.chance(0.1))) {
      frames.splice(random.int(0, frames.length), 0, { ...frame, how: `again, ${frame.how}` })
    }
  }
  if (uses('reorder')) {
    if (random.chance(0.25)) {
      frames = random.shuffle(frames)
    } else {
      const window = random.int(2, 12)
      const out = []
      for (let i = 0; i < frames.length; i += window) out.push(...random.shuffle(frames.slice(i, i + window)))
      frames = out
    }
  }
  const senders = uses('senders') ? random.int(1, 3) : 1
  let sender = 0
  const route = list => list.map(frame => {
    if (random.chance(0.2)) sender = random.int(0, senders - 1)
    return { sender, ...frame }
  })
  const steps = route(frames)
  for (const event of EVENTS) {
    if (uses(event) && random.chance(0.4)) steps.splice(random.int(0, steps.length), 0, { event })
  }
  return { steps, late: route(random.shuffle(late)) }
}

/** A passive document fed with steps in their order. */
export function plainDocument (steps, doc = passiveDoc()) {
  for (const step of steps) if (!step.event) Y.applyUpdate(doc, step.update)
  takePending(doc)
  return doc
}

/**
 * Lets a document take what waits and could be taken. Of an update that lacks several things yjs remembers only one, and looks at
 * the update again when that one has come, although parts of it may have become whole before.
 */
export function takePending (doc) {
  for (let before = null; doc.store.pendingStructs !== null;) {
    const state = JSON.stringify([...Y.decodeStateVector(Y.encodeStateVector(doc))].sort())
    if (state === before) return
    before = state
    const { update } = doc.store.pendingStructs
    doc.store.pendingStructs = null
    Y.applyUpdateV2(doc, update)
  }
}

/** A history as JSON: everything needed to replay it elsewhere. */
export function toJSON ({ seed, kinds, operations, steps, late }) {
  const plain = step => step.event ? step : { ...step, update: Buffer.from(step.update).toString('hex') }
  return { seed, kinds, operations, steps: steps.map(plain), late: late.map(plain) }
}

export function fromJSON ({ steps, late, ...rest }) {
  const bytes = step => step.event ? step : { ...step, update: Uint8Array.from(Buffer.from(step.update, 'hex')) }
  return { ...rest, steps: steps.map(bytes), late: late.map(bytes) }
}
