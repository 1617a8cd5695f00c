// Small frames that claim much, and seeded mutations of good ones.

import * as Y from 'yjs'
import * as frames from '../../lib/frames.mjs'
import { bytes, concat, varBytes, varString, varUint } from './poke.mjs'

const COUNTS = [28, 31, 32, 33, 40, 48, 50].map(power => 2 ** power)
const DEEP = 200_000
const NULL = 126
const LIST = 117
const MAP = 118

const sync = (kind, payload) => concat(0, kind, varBytes(payload))
const update = (...parts) => sync(2, concat(...parts))
const presence = (...parts) => concat(1, varBytes(concat(...parts)))

/** One client with one item of this content kind, without neighbours, in the root "text"; no deletes. */
const item = (kind, ...content) => update(varUint(1), varUint(1), varUint(77), varUint(0), kind, varUint(1), varString('text'), ...content, varUint(0))

const repeated = (part, count, end) => concat(new Uint8Array(part.length * count).map((_, i) => part[i % part.length]), end)

/**
 * Frames that can never be right, by name: each must close its connection with 1002.
 * @returns {Array<[string, Uint8Array]>}
 */
export function impossible () {
  const list = []
  for (const count of COUNTS) {
    const n = varUint(count)
    const claim = (name, frame) => list.push([`${name} ${count}`, frame])
    claim('state vector entries', sync(0, concat(n, varUint(1), varUint(1))))
    claim('clients in a SyncStep2', sync(1, concat(n, varUint(1), varUint(5), varUint(0))))
    claim('clients in an update', update(n, varUint(1), varUint(5), varUint(0)))
    claim('structs of a client', update(varUint(1), n, varUint(5), varUint(0), 4, varUint(1), varString('text'), varString('a')))
    claim('clients in a delete set', update(varUint(0), n, varUint(1), varUint(1)))
    claim('ranges of a delete set', update(varUint(0), varUint(1), varUint(5), n, varUint(0), varUint(1)))
    claim('values of an any content', item(8, n, NULL))
    claim('values of a JSON content', item(2, n, varString('1')))
    claim('elements of a list value', item(8, varUint(1), LIST, n, NULL))
    claim('entries of a map value', item(8, varUint(1), MAP, n, varString('k'), NULL))
    claim('bytes of a binary value', item(8, varUint(1), 116, n, NULL))
    claim('bytes of a string value', item(8, varUint(1), 119, n, NULL))
    claim('bytes of a text', item(4, n, 97))
    claim('bytes of a binary content', item(3, n, 97))
    claim('bytes of an embed', item(5, n, 97))
    claim('bytes of a mark name', item(6, n, 97))
    claim('bytes of an element name', item(7, varUint(3), n, 97))
    claim('bytes of a sub-document id', item(9, n, 97))
    claim('bytes of a root name', update(varUint(1), varUint(1), varUint(77), varUint(0), 4, varUint(1), n, 97))
    claim('bytes of a map key', update(varUint(1), varUint(1), varUint(77), varUint(0), 0x24, varUint(1), varString('m'), n, 97))
    claim('bytes of an update', concat(0, 2, n, 1, 1))
    claim('entries of a presence message', presence(n, varUint(5), varUint(1), varString('{}')))
    claim('bytes of a presence state', presence(varUint(1), varUint(5), varUint(1), n, 97))
    claim('bytes of a presence message', concat(1, n, 1, 5))
  }
  list.push(['a list nested 200,000 deep', item(8, varUint(1), repeated([LIST, 1], DEEP, NULL))])
  list.push(['a map nested 200,000 deep', item(8, varUint(1), repeated([MAP, 1, 1, 97], DEEP, NULL))])
  list.push(['a list nested 200,000 deep without an end', item(8, varUint(1), repeated([LIST, 1], DEEP, []))])
  return list
}

/** Frames that are odd but may be taken: the server must live, and either keep or close the connection. */
export function odd () {
  const list = []
  const json = '['.repeat(DEEP) + ']'.repeat(DEEP)
  for (const length of COUNTS) {
    list.push([`a deleted content of length ${length}`, item(1, varUint(length))])
    list.push([`a collected range of length ${length}`, update(varUint(1), varUint(1), varUint(78), varUint(0), 0, varUint(length), varUint(0))])
    list.push([`a skip of length ${length}`, update(varUint(1), varUint(1), varUint(79), varUint(0), 10, varUint(length), varUint(0))])
    list.push([`a deleted range of length ${length}`, update(varUint(0), varUint(1), varUint(80), varUint(1), varUint(0), varUint(length))])
    list.push([`a first clock of ${length}`, update(varUint(1), varUint(1), varUint(81), varUint(length), 4, varUint(1), varString('text'), varString('a'), varUint(0))])
    list.push([`a client id of ${length}`, update(varUint(1), varUint(1), varUint(length), varUint(0), 4, varUint(1), varString('text'), varString('a'), varUint(0))])
  }
  list.push(['an embed whose JSON is 200,000 deep', item(5, varString(json))])
  list.push(['a JSON content 200,000 deep', item(2, varUint(1), varString(json))])
  list.push(['a mark whose JSON is 200,000 deep', item(6, varString('bold'), varString(json))])
  list.push(['a text that is not UTF-8', item(4, varBytes(Uint8Array.of(0xff, 0xfe, 0xc0)))])
  list.push(['clocks beyond 2^53', update(varUint(1), varUint(1), varUint(82), concat(new Uint8Array(9).fill(0xff), 1), 4, varUint(1), varString('text'), varString('a'), varUint(0))])
  return list
}

/** Good frames of every kind, as stock clients write them. */
export function good () {
  const doc = new Y.Doc()
  doc.clientID = 4_242
  const updates = []
  doc.on('update', update => updates.push(update))
  const text = doc.getText('text')
  text.insert(0, 'a good deal of text')
  text.format(2, 6, { bold: true })
  text.insertEmbed(4, { image: 'x.png' })
  text.insert(3, '\u{1F468}\u200D\u{1F469}\u200D\u{1F467}')
  text.delete(1, 5)
  doc.getArray('array').push([1, -0.5, 'two', null, true, [1, [undefined, 12345678901234n]], { a: { b: 1 } }, new Uint8Array([1, 2, 3])])
  doc.getMap('map').set('key', { deep: [{ deeper: 'x' }] })
  doc.getMap('map').set('key', 'again')
  doc.getMap('map').set('nested', new Y.Map([['in', new Y.Array()]]))
  doc.getMap('map').set('sub', new Y.Doc({ guid: 'sub', meta: { a: 1 } }))
  const paragraph = new Y.XmlElement('p')
  doc.getXmlFragment('xml').push([paragraph])
  paragraph.setAttribute('class', 'c')
  paragraph.push([new Y.XmlText('inside'), new Y.XmlHook('hook')])
  const whole = Y.encodeStateAsUpdate(doc)
  const other = new Y.Doc()
  other.clientID = 4_243
  Y.applyUpdate(other, whole)
  other.getText('text').insert(5, 'another author')
  return [
    frames.step1(), frames.step1(Y.encodeStateVector(other)),
    frames.step2(whole), frames.step2(Y.encodeStateAsUpdate(other)), ...updates.map(frames.update),
    frames.awareness([{ id: 4_242, clock: 1, state: { user: { name: 'one', color: '#123456' }, cursor: null } }, { id: 4_243, clock: 7, state: null }]),
    frames.awareness([]),
    frames.queryAwareness()
  ]
}

const MAX_MUTANT = 4_096

/** A good frame, damaged in one place, sometimes in a few. @param {import('../../lib/seed.mjs').Random} random */
export function mutate (random, pool) {
  let frame = Uint8Array.from(random.pick(pool))
  for (let times = random.pick([1, 1, 1, 2, 4]); times > 0; times--) {
    const at = random.int(0, Math.max(0, frame.length - 1))
    const cutAt = (from, to, ...between) => concat(frame.subarray(0, from), ...between, frame.subarray(to))
    switch (random.int(0, 8)) {
      case 0: if (frame.length > 0) frame[at] ^= 1 << random.int(0, 7); break
      case 1: if (frame.length > 0) frame[at] = random.int(0, 255); break
      case 2: frame = cutAt(at, at, random.bytes(random.int(1, 8))); break
      case 3: frame = cutAt(at, Math.min(frame.length, at + random.int(1, 16))); break
      case 4: frame = frame.slice(0, at); break
      case 5: frame = cutAt(at, at, frame.subarray(at, at + random.int(1, 32))); break
      case 6: frame = cutAt(at, at + 1, varUint(random.pick([0, 1, 127, 128, 2 ** 16, ...COUNTS, 2 ** 53 - 1]))); break
      case 7: frame = cutAt(at, at, bytes(encoder => encoder.cbuf.fill(0xff, 0, encoder.cpos = random.int(1, 12)))); break
      case 8: { const other = random.pick(pool); frame = concat(frame.subarray(0, at), other.subarray(random.int(0, other.length))); break }
    }
  }
  return frame.slice(0, MAX_MUTANT)
}
