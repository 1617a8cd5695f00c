// What other engines hold otherwise than yjs, or not at all: the server holds it as yjs does.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { RawClient, compare, deletes, documentOf, documentUrl, stateVector, waitFor } from './lib/client.mjs'
import { pending } from './lib/compare.mjs'
import { fromHex } from './lib/frames.mjs'
import { start } from './lib/server.mjs'
import { load } from './lib/vectors.mjs'

let server
before(async () => { server = await start() })
after(async () => {
  const panics = server.panics()
  await server.dispose()
  assert.deepEqual(panics, [])
})

async function read (t, name) {
  const reader = await RawClient.connect(documentUrl(server, name), { t })
  return await reader.read()
}

const FIRST_FENCE = 2 ** 40
let fences = FIRST_FENCE

/** Sends the updates and a marker of its own behind them, and waits until the marker is confirmed: then all of it is stored. */
async function push (t, name, updates) {
  const writer = await RawClient.connect(documentUrl(server, name), { t })
  for (const update of updates) await writer.update(update)
  const marker = new Y.Doc()
  marker.clientID = fences++
  marker.getArray('fence').push([1])
  const last = Y.encodeStateAsUpdate(marker)
  await writer.update(last)
  await waitFor(() => writer.messages.some(m => m.kind === 'update' && Y.decodeUpdate(m.payload).structs.some(s => s.id.client === marker.clientID)), 10_000,
    () => `the confirmation; ${writer.describe()}`)
  return [...updates, last]
}

/** Content in the form of yrs-divergence.json, for the roots it names. */
function contentOf (doc, expected) {
  const value = v => {
    if (typeof v === 'bigint') return { bigint: String(v) }
    if (typeof v === 'number' && (Object.is(v, -0) || !Number.isFinite(v))) return { number: Object.is(v, -0) ? '-0' : String(v) }
    if (v instanceof Uint8Array) return { bin: Buffer.from(v).toString('hex') }
    if (v instanceof Y.XmlHook) return { hook: v.hookName, map: dotted(Object.fromEntries(v)) }
    if (v instanceof Y.Map) return { map: dotted(Object.fromEntries(v)) }
    if (Array.isArray(v)) return { list: v.map(value) }
    if (typeof v === 'string') return v.toWellFormed()
    if (v !== null && typeof v === 'object') return { object: dotted(v) }
    return v
  }
  const dotted = object => Object.fromEntries(Object.entries(object).map(([k, v]) => ['.' + k, value(v)]))
  const out = {}
  for (const [name, root] of Object.entries(expected)) {
    if ('text' in root) {
      const text = doc.getText(name)
      out[name] = {
        text: text.toDelta().map(({ insert, attributes }) => attributes ? { insert: value(insert), attributes: dotted(attributes) } : { insert: value(insert) }),
        attributes: dotted(text.getAttributes())
      }
    } else if ('map' in root) out[name] = value(doc.getMap(name))
    else if ('array' in root) out[name] = { array: doc.getArray(name).toArray().map(value) }
    else if ('fragment' in root) out[name] = { fragment: doc.getXmlFragment(name).toArray().map(value), string: doc.getXmlFragment(name).toString() }
    else throw new Error(`unknown root ${JSON.stringify(root)}`)
  }
  return out
}

/** Holds a document read from the server against the vector and against yjs fed with the same updates. */
function check (label, update, updates, vector) {
  const copy = documentOf([update])
  compare(copy, documentOf(updates), label)
  const clocks = Object.fromEntries(Object.entries(stateVector(copy)).filter(([client]) => Number(client) < FIRST_FENCE))
  assert.deepEqual(clocks, vector.state_vector, `${label}: state vector`)
  assert.deepEqual(deletes(copy), vector.deletes, `${label}: deletes`)
  assert.equal(Object.keys({ ...pending(copy).structs, ...pending(copy).deletes }).length > 0, vector.pending, `${label}: pending`)
  assert.deepEqual(contentOf(copy, vector.content), vector.content, `${label}: content`)
  // The encoding itself: nothing beyond what was written.
  for (const struct of Y.decodeUpdate(update).structs) assert.ok(struct.id.clock + struct.length < 1_000, `${label}: a struct at ${struct.id.clock} of length ${struct.length}`)
}

for (const vector of load('yrs-divergence').cases) {
  test(vector.name, async t => {
    const updates = vector.updates_v1.map(fromHex)
    const fed = await push(t, vector.name, updates)
    check('read', await read(t, vector.name), fed, vector.yjs)

    await server.restart('SIGKILL')
    check('read after a hard end', await read(t, vector.name), fed, vector.yjs)

    if (vector.late_updates_v1) {
      const late = vector.late_updates_v1.map(fromHex)
      const all = [...fed, ...await push(t, vector.name, late)]
      check('read after the late updates', await read(t, vector.name), all, vector.yjs_after_late)
      // A reader from before gets there too.
      const early = documentOf(fed)
      const reader = await RawClient.connect(documentUrl(server, vector.name), { t })
      Y.applyUpdate(early, await reader.read(Y.encodeStateVector(early)))
      compare(early, documentOf(all), 'an early reader')
    }

    // And a client goes on editing on top of it.
    const editor = await RawClient.connect(documentUrl(server, vector.name), { t })
    const doc = documentOf([await editor.read()])
    const vectorBefore = Y.encodeStateVector(doc)
    doc.clientID = 77
    doc.getText('t').insert(0, 'on top ')
    await editor.update(Y.encodeStateAsUpdate(doc, vectorBefore))
    await editor.fence()
    compare(documentOf([await read(t, vector.name)]), doc, 'after one more edit')
  })
}

test('a sequence that ended another engine is taken, read after every update', async t => {
  const { crash_updates_v1: updates } = load('yrs-divergence').cases.find(c => c.crash_updates_v1)
  const { pid } = server
  const name = 'crash'
  const writer = await RawClient.connect(documentUrl(server, name), { t })
  for (let i = 0; i < updates.length; i++) {
    await writer.update(fromHex(updates[i]))
    await writer.fence()
    compare(documentOf([await read(t, name)]), documentOf(updates.slice(0, i + 1).map(fromHex)), `after update ${i}`)
  }
  const copy = documentOf([await read(t, name)])
  assert.deepEqual(stateVector(copy), { 1: 16 })
  assert.equal(copy.getMap('m').size, 0)
  assert.equal(server.pid, pid)
})

test('two values of one map key stay two: reading the second deletes the first', async t => {
  // Without the deletion that their author sent along, as if it were late.
  const updates = ['010101002801016d016b017d0100', '01010101a80100017d0200'].map(fromHex)
  const writer = await RawClient.connect(documentUrl(server, 'values of a key'), { t })
  for (const update of updates) await writer.update(update)
  await writer.fence()
  compare(documentOf([await read(t, 'values of a key')]), documentOf(updates), 'the server copy')
})
