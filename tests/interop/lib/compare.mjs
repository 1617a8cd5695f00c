// Compares two yjs documents by meaning: deep content of every root, state vector, delete set, sub-documents, pending.

import assert from 'node:assert/strict'
import * as Y from 'yjs'

/**
 * A document that only reads: yjs' tidying of format marks (which deletes marks, so that the delete set would depend on how
 * updates were batched) is off. Use it for both sides of an exact comparison.
 */
export function passiveDoc (options) {
  const doc = new Y.Doc(options)
  doc.on('beforeTransaction', transaction => {
    Object.defineProperty(transaction, '_needFormattingCleanup', { get: () => false, set: () => {} })
  })
  return doc
}

/** A value as JSON-like text: tags what JSON cannot hold; half surrogate pairs count as U+FFFD, as yjs makes them on the wire. */
function value (v) {
  if (v === undefined) return { undefined: true }
  if (v === null || typeof v === 'boolean') return v
  if (typeof v === 'string') return v.toWellFormed()
  if (typeof v === 'number') return Object.is(v, -0) ? { number: '-0' } : Number.isFinite(v) ? v : { number: String(v) }
  if (typeof v === 'bigint') return { bigint: String(v) }
  if (v instanceof Uint8Array) return { bin: Buffer.from(v).toString('hex') }
  if (Array.isArray(v)) return v.map(value)
  return { object: Object.fromEntries(Object.keys(v).sort().map(k => ['.' + k.toWellFormed(), value(v[k])])) }
}

/** What one item holds, as a list of elements; text as {text}, a format mark as {mark}. */
function contents (content) {
  switch (content.constructor) {
    case Y.ContentString: return [{ text: content.str }]
    case Y.ContentFormat: return [{ mark: content.key, value: content.value }]
    case Y.ContentEmbed: return [{ embed: value(content.embed) }]
    case Y.ContentBinary: return [{ bin: Buffer.from(content.content).toString('hex') }]
    case Y.ContentAny: case Y.ContentJSON: return content.arr.map(v => ({ value: value(v) }))
    case Y.ContentDoc: return [{ doc: content.doc.guid, opts: value(content.opts) }]
    case Y.ContentType: return [{ type: render(content.type) }]
    default: throw new Error(`unknown content ${content.constructor.name}`)
  }
}

/** The visible content of a type, whatever it was opened as. Kinds of roots are not on the wire and are left out. */
function render (type, root = false) {
  const sequence = []
  const attributes = new Map()
  let run = null
  for (let item = type._start; item !== null; item = item.right) {
    if (item.deleted) continue
    for (const part of contents(item.content)) {
      if ('mark' in part) {
        if (part.value === null) attributes.delete(part.mark)
        else attributes.set(part.mark, value(part.value))
        run = null
        continue
      }
      const format = attributes.size === 0 ? undefined : Object.fromEntries([...attributes].sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => ['.' + k, v]))
      if ('text' in part) {
        const last = sequence.at(-1)
        if (run === null && last && 'text' in last && JSON.stringify(last.format) === JSON.stringify(format)) run = last
        if (run) run.text += part.text
        else sequence.push(run = format ? { text: part.text, format } : { text: part.text })
      } else {
        sequence.push(format ? { ...part, format } : part)
        run = null
      }
    }
  }
  for (const part of sequence) if ('text' in part) part.text = part.text.toWellFormed()
  const keys = {}
  for (const key of [...type._map.keys()].sort()) {
    const item = type._map.get(key)
    if (!item.deleted) keys['.' + key.toWellFormed()] = contents(item.content).at(-1)
  }
  const out = {}
  if (!root) {
    out.kind = type.constructor.name.replace(/^_+/, '')
    if (type.nodeName && typeof type.nodeName === 'string') out.name = type.nodeName
    if (typeof type.hookName === 'string') out.name = type.hookName
  }
  if (sequence.length) out.sequence = sequence
  if (Object.keys(keys).length) out.keys = keys
  return out
}

/** Deep content of every root that has any. */
export function content (doc) {
  const roots = {}
  for (const name of [...doc.share.keys()].sort()) {
    const root = render(doc.share.get(name), true)
    if (Object.keys(root).length) roots['.' + name.toWellFormed()] = root
  }
  return roots
}

/** client -> clock, as an object with sorted keys; clients without a struct left out. */
export function stateVector (doc) {
  const map = doc instanceof Map ? doc : Y.decodeStateVector(Y.encodeStateVector(doc))
  return Object.fromEntries([...map].filter(([, clock]) => clock > 0).sort(([a], [b]) => a - b).map(([c, k]) => [String(c), k]))
}

/** client -> [[clock, length], ...], sorted and joined. */
export function normaliseDeletes (clients) {
  const out = {}
  for (const [client, ranges] of [...clients].sort(([a], [b]) => a - b)) {
    const joined = []
    for (const { clock, len } of [...ranges].sort((a, b) => a.clock - b.clock)) {
      const last = joined.at(-1)
      if (last && clock <= last[0] + last[1]) last[1] = Math.max(last[1], clock + len - last[0])
      else if (len > 0) joined.push([clock, len])
    }
    if (joined.length) out[String(client)] = joined
  }
  return out
}

export const deletes = doc => normaliseDeletes(Y.createDeleteSetFromStructStore(doc.store).clients)
/** The delete set an update carries. */
export const updateDeletes = update => normaliseDeletes(Y.decodeUpdate(update).ds.clients)
/** The ids an update carries structs for (Skip left out), in the form of a delete set. */
export function updateIds (update) {
  const clients = new Map()
  for (const { id, length, constructor } of Y.decodeUpdate(update).structs) {
    if (constructor === Y.Skip) continue
    if (!clients.has(id.client)) clients.set(id.client, [])
    clients.get(id.client).push({ clock: id.clock, len: length })
  }
  return normaliseDeletes(clients)
}

/** What waits for something missing: ids of structs and ranges of deletes. */
export function pending (doc) {
  const structs = doc.store.pendingStructs
  const set = doc.store.pendingDs
  return {
    structs: structs ? updateIds(Y.convertUpdateFormatV2ToV1(structs.update)) : {},
    deletes: set ? updateDeletes(Y.convertUpdateFormatV2ToV1(set)) : {}
  }
}

/** Guids of the sub-documents that are in the document, sorted. */
export const subdocuments = doc => [...doc.getSubdocs()].map(sub => sub.guid).sort()

const views = {
  content,
  'state vector': stateVector,
  deletes,
  'sub-documents': subdocuments,
  pending
}

/**
 * The differences between two documents: [{what, a, b}], empty if they are the same.
 * @param {{ deletes?: boolean, pending?: boolean }} [options] both default true
 */
export function differences (a, b, options = {}) {
  const found = []
  for (const [what, view] of Object.entries(views)) {
    if (options[what] === false) continue
    const [x, y] = [view(a), view(b)]
    try {
      assert.deepStrictEqual(x, y)
    } catch {
      found.push({ what, a: x, b: y })
    }
  }
  return found
}

/** Asserts that two documents are the same. */
export function compare (a, b, label = 'the two documents', options = {}) {
  for (const { what, a: x, b: y } of differences(a, b, options)) assert.deepStrictEqual(x, y, `${label} differ in ${what}: ${JSON.stringify(x)} <> ${JSON.stringify(y)}`)
}

/** A fresh passive document holding these updates, applied one after the other. */
export function documentOf (updates, options) {
  const doc = passiveDoc(options)
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}
