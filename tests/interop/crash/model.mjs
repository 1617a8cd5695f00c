// What must be there after a crash: everything that was confirmed to somebody, and nothing that nobody wrote.

import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { compare, passiveDoc, stateVector, updateDeletes, updateIds } from '../lib/compare.mjs'
import { decode } from '../lib/frames.mjs'

/** Ranges of clocks of one client, joined. */
export class Ranges {
  /** @type {Array<[number, number]>} from and to (excluded), ascending, apart from each other */
  list = []

  add (from, to) {
    if (from >= to) return
    const touching = this.list.filter(([a, b]) => a <= to && from <= b)
    if (touching.length > 0) [from, to] = [Math.min(from, touching[0][0]), Math.max(to, touching.at(-1)[1])]
    this.list = [...this.list.filter(range => !touching.includes(range)), [from, to]].sort(([a], [b]) => a - b)
  }

  /** What of these ranges is not in `ranges`, a list of [clock, length] that is sorted and joined. */
  missingIn (ranges) {
    return this.list.filter(([from, to]) => !ranges.some(([clock, length]) => clock <= from && to <= clock + length))
  }

  get total () { return this.list.reduce((sum, [from, to]) => sum + to - from, 0) }
}

/**
 * What the server has confirmed to one client: what of its own came back to it, in whatever message. Everything is written
 * and deleted by its own author only, so nobody else's edit can be taken for it.
 */
export class Confirmed {
  inserts = new Ranges()
  deletes = new Ranges()

  /** @param {import('../lib/client.mjs').StockClient} client */
  constructor (client) {
    this.client = client
    client.provider.on('status', ({ status }) => {
      if (status === 'connected') client.provider.ws.on('message', data => this.#note(new Uint8Array(data)))
    })
  }

  #note (frame) {
    for (const { kind, payload } of decode(frame)) {
      if (kind !== 'update' && kind !== 'step2') continue
      const { structs, ds } = Y.decodeUpdate(payload)
      for (const { id, length, constructor } of structs) {
        if (id.client === this.client.clientId && constructor !== Y.Skip) this.inserts.add(id.clock, id.clock + length)
      }
      for (const { clock, len } of ds.clients.get(this.client.clientId) ?? []) this.deletes.add(clock, clock + len)
    }
  }
}

/** One document as its authors know it. */
export class Model {
  /** The union of what they hold. */
  all = passiveDoc()
  /** @type {Confirmed[]} */
  authors = []

  constructor (name) { this.name = name }

  /** Takes in what the authors have written since. */
  update () {
    for (const { client } of this.authors) Y.applyUpdate(this.all, Y.encodeStateAsUpdate(client.doc, Y.encodeStateVector(this.all)))
  }

  /** Asserts that what the server holds has all that was confirmed, and becomes the whole document with what was not. */
  check (stored, where) {
    this.update()
    const doc = passiveDoc()
    Y.applyUpdate(doc, stored)
    // What builds on an edit that was lost with the server is there, and waits for that to come back: it counts.
    const [inserted, deleted] = [updateIds(stored), updateDeletes(stored)]
    for (const { client: { clientId }, inserts, deletes } of this.authors) {
      assert.deepEqual(inserts.missingIn(inserted[clientId] ?? []), [], `${where}: ${this.name} has lost confirmed insertions of client ${clientId}; it has ${JSON.stringify(inserted[clientId])}`)
      assert.deepEqual(deletes.missingIn(deleted[clientId] ?? []), [], `${where}: ${this.name} has lost confirmed deletions of client ${clientId}`)
    }
    const [vector, whole] = [stateVector(doc), stateVector(this.all)]
    for (const [client, clock] of Object.entries(vector)) {
      assert.ok(clock <= (whole[client] ?? 0), `${where}: ${this.name} has edits of client ${client} that nobody made`)
    }
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(this.all, Y.encodeStateVector(doc)))
    compare(doc, this.all, `${where}: ${this.name} and its model`)
  }

  /** Asserts that the server holds everything there is. */
  checkWhole (stored, where) {
    this.update()
    const doc = passiveDoc()
    Y.applyUpdate(doc, stored)
    compare(doc, this.all, `${where}: ${this.name} and its whole model`)
  }

  /** How many insertions and deletions were confirmed. */
  get confirmed () {
    return this.authors.reduce((sum, { inserts, deletes }) => sum + inserts.total + deletes.total, 0)
  }
}
