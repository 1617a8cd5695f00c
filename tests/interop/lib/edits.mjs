// One random edit of a yjs document: text, formats, embeds, maps, arrays, XML, sub-documents and odd values.

import * as Y from 'yjs'

const PLAIN = ['a', 'b', 'Hello', ' ', '\n', 'lorem ipsum', 'x'.repeat(40), '0', '"quoted"', '\u0000']
const EMOJI = ['\u{1F600}', '\u{1F468}\u200D\u{1F469}\u200D\u{1F467}', 'e\u0301', '\u{1D11E}', '\u6F22\u5B57', '\u{1F1E9}\u{1F1EA}', '\u05D0\u05D1']
const KEYS = ['a', 'b', 'key', '', '\u00FC\u{1F600}']
const NAMES = ['p', 'li', 'h1', 'UPPER']

/**
 * Makes one edit. `uses(kind)` says which kinds are on; see EDITS in histories.mjs.
 * @param {Y.Doc} doc
 * @param {import('./seed.mjs').Random} random
 * @param {(kind: string) => boolean} uses
 */
export function edit (doc, random, uses) {
  const targets = [
    ...(uses('text') ? [doc.getText('text'), doc.getText('')] : []),
    ...(uses('map') ? [doc.getMap('map'), doc.getMap('m\u00FC\u{1F600}')] : []),
    ...(uses('array') ? [doc.getArray('array')] : []),
    ...(uses('xml') ? [doc.getXmlFragment('xml')] : [])
  ]
  if (targets.length === 0) targets.push(doc.getText('text'))
  let target = random.pick(targets)
  // Down into nested types, now and then.
  while (random.chance(0.6)) {
    const inner = children(target)
    if (inner.length === 0) break
    target = random.pick(inner)
  }
  if (target instanceof Y.Text) editText(target, random, uses)
  else if (target instanceof Y.Map) editMap(target, random, uses)
  else if (target instanceof Y.Array) editArray(target, random, uses)
  else editXml(target, random, uses)
}

function children (type) {
  const found = []
  for (let item = type._start; item !== null; item = item.right) {
    if (!item.deleted && item.content instanceof Y.ContentType) found.push(item.content.type)
  }
  for (const item of type._map.values()) if (!item.deleted && item.content instanceof Y.ContentType) found.push(item.content.type)
  return found
}

/** An index in a text; not between the halves of a pair unless that kind is on. */
function index (text, random, uses) {
  let at = random.int(0, text.length)
  if (uses('surrogates')) return at
  const units = []
  for (let item = text._start; item !== null; item = item.right) {
    if (item.deleted || !item.countable) continue
    if (item.content instanceof Y.ContentString) for (const unit of item.content.str.split('')) units.push(unit.charCodeAt(0))
    else units.push(0)
  }
  if (at > 0 && at < units.length && units[at] >= 0xDC00 && units[at] <= 0xDFFF) at--
  return at
}

function words (random, uses) {
  let out = ''
  do out += random.pick(uses('emoji') && random.chance(0.5) ? EMOJI : PLAIN); while (random.chance(0.3))
  return out
}

function format (random, uses) {
  const kinds = [() => ['bold', random.chance(0.6) ? true : null], () => ['italic', random.chance(0.5) ? {} : null],
    () => ['link', { href: random.pick(PLAIN) }], () => ['color', random.pick(['red', 'blue', null])]]
  if (uses('jsonSurrogates')) kinds.push(() => ['title', 'cut \uD83D'], () => ['\u{1F600}', 'half \uDE00'])
  if (uses('oddNumbers')) kinds.push(() => ['size', random.pick([-0, 0.5, 2 ** 53])])
  return Object.fromEntries([random.pick(kinds)()])
}

function editText (text, random, uses) {
  const at = index(text, random, uses)
  const to = Math.max(at, uses('surrogates') ? Math.min(text.length, at + random.int(0, 8)) : index(text, random, uses))
  const roll = random.float()
  if (uses('format') && roll < 0.3 && to > at) {
    text.format(at, to - at, format(random, uses))
  } else if (uses('embed') && roll < 0.38) {
    text.insertEmbed(at, uses('nested') && random.chance(0.3) ? fresh(random, uses) : { image: words(random, uses), n: random.int(0, 9) },
      uses('format') && random.chance(0.3) ? format(random, uses) : {})
  } else if (roll < 0.55 && to > at) {
    text.delete(at, to - at)
  } else if (uses('format') && roll < 0.65) {
    text.applyDelta([{ retain: at }, { insert: words(random, uses), attributes: format(random, uses) }])
  } else if (uses('map') && roll < 0.68) {
    text.setAttribute(random.pick(KEYS), random.pick(PLAIN))
  } else if (uses('format') && random.chance(0.4)) {
    text.insert(at, words(random, uses), random.chance(0.5) ? format(random, uses) : undefined)
  } else {
    text.insert(at, words(random, uses))
  }
}

/** A value a map or array may hold, types and sub-documents included. */
function value (random, uses) {
  const kinds = [() => random.int(-5, 100), () => words(random, uses), () => random.chance(0.5), () => [1, [2, 'x'], {}], () => ({ a: 1, b: { c: words(random, uses) } })]
  if (uses('oddNumbers')) {
    kinds.push(() => random.pick([-0, NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 2 ** 31, -(2 ** 31) - 1, 1e300, 0.1, 5e-324]), () => [{ deep: [-0, NaN] }])
  }
  if (uses('bigints')) kinds.push(() => random.pick([0n, 5n, -1n, 2n ** 53n, 2n ** 62n, -(2n ** 63n)]), () => ({ big: 7n }))
  if (uses('binary')) kinds.push(() => random.bytes(random.int(0, 40)), () => ({ inside: random.bytes(3) }))
  if (uses('nothing')) kinds.push(() => null, () => undefined, () => [undefined, null])
  if (uses('nested')) kinds.push(() => fresh(random, uses), () => fresh(random, uses))
  if (uses('subdocuments')) kinds.push(() => subdocument(random))
  return random.pick(kinds)()
}

function subdocument (random) {
  const options = { guid: `sub-${random.int(0, 2 ** 31)}` }
  if (random.chance(0.3)) options.autoLoad = true
  if (random.chance(0.3)) options.gc = false
  if (random.chance(0.4)) options.meta = random.pick([{ title: 'x', n: -0 }, 'text', 5, { deep: [1, null] }])
  return new Y.Doc(options)
}

/** A new nested type, perhaps with content. */
function fresh (random, uses) {
  const kinds = [() => new Y.Text(words(random, uses)), () => new Y.Array(), () => new Y.Map([['k', words(random, uses)]])]
  if (uses('xml')) kinds.push(() => element(random, uses), () => new Y.XmlText(words(random, uses)), () => new Y.XmlFragment())
  return random.pick(kinds)()
}

function element (random, uses) {
  const el = new Y.XmlElement(random.pick(NAMES))
  if (random.chance(0.5)) el.setAttribute('id', words(random, uses))
  if (random.chance(0.5)) el.insert(0, [new Y.XmlText(words(random, uses))])
  return el
}

function editMap (map, random, uses) {
  const present = [...map.keys()]
  if (present.length > 0 && random.chance(0.2)) { map.delete(random.pick(present)); return }
  let key = random.pick(KEYS)
  const holdsType = k => map._map.get(k)?.deleted === false && map._map.get(k).content instanceof Y.ContentType
  if (!uses('replace') && holdsType(key)) key = KEYS.find(k => !holdsType(k)) ?? `extra-${random.int(0, 9)}`
  map.set(key, value(random, uses))
}

function editArray (array, random, uses) {
  const at = random.int(0, array.length)
  if (array.length > 0 && random.chance(0.3)) {
    const from = random.int(0, array.length - 1)
    array.delete(from, random.int(1, Math.min(4, array.length - from)))
  } else {
    const values = [value(random, uses)]
    while (random.chance(0.3)) values.push(value(random, uses))
    array.insert(at, values.map(v => v === undefined || typeof v === 'bigint' ? [v] : v)) // yjs takes those two only inside
  }
}

function editXml (xml, random, uses) {
  if (xml instanceof Y.XmlElement && random.chance(0.4)) {
    const names = Object.keys(xml.getAttributes())
    if (names.length > 0 && random.chance(0.3)) xml.removeAttribute(random.pick(names))
    else xml.setAttribute(random.pick(['id', 'class', 'n']), uses('oddNumbers') && random.chance(0.3) ? random.pick([1, -0, { a: 1 }]) : words(random, uses))
    return
  }
  const at = random.int(0, xml.length)
  if (xml.length > 0 && random.chance(0.3)) {
    const from = random.int(0, xml.length - 1)
    xml.delete(from, random.int(1, Math.min(3, xml.length - from)))
  } else if (uses('hook') && random.chance(0.25)) {
    const hook = new Y.XmlHook(random.pick(NAMES))
    hook.set('k', words(random, uses))
    xml.insert(at, [hook])
  } else {
    xml.insert(at, [random.chance(0.6) ? element(random, uses) : new Y.XmlText(words(random, uses))])
  }
}
