// What the HTTP API shows of a document, made from a yjs document: the contract of `content` and `watch`, once more.

import * as Y from 'yjs'

/** The visible items of a type. */
function * items (type) {
  for (let item = type._start; item !== null; item = item.right) if (!item.deleted) yield item
}

/** A value without shared types, as JSON. `undefined` where it is left out. */
function plain (v) {
  if (v === null || typeof v === 'boolean') return v
  if (typeof v === 'number') return Number.isFinite(v) ? v + 0 : null
  if (typeof v === 'bigint') return Number(v)
  if (typeof v === 'string') return v.toWellFormed()
  if (v instanceof Uint8Array) return Buffer.from(v).toString('base64')
  if (Array.isArray(v)) return v.map(x => plain(x) ?? null)
  if (v === undefined) return undefined
  return Object.fromEntries(Object.entries(v).map(([key, x]) => [key.toWellFormed(), plain(x)]).filter(([, x]) => x !== undefined))
}

function value (v) {
  if (v instanceof Y.Doc) return { guid: v.guid }
  if (!(v instanceof Y.AbstractType)) return plain(v)
  if (v instanceof Y.XmlElement || v instanceof Y.XmlFragment || v instanceof Y.XmlText) return node(v)
  if (v instanceof Y.Text) return characters(v)
  if (v instanceof Y.Array) return list(v)
  if (v instanceof Y.Map) return map(v)
  throw new Error(`a type that is not shown: ${v.constructor.name}`)
}

const characters = text => [...items(text)].map(item => item.content instanceof Y.ContentString ? item.content.str : '').join('').toWellFormed()

const list = type => [...items(type)].filter(item => item.countable).flatMap(item => item.content.getContent()).map(v => value(v) ?? null)

function map (type) {
  const entries = []
  for (const [key, item] of type._map) {
    if (item.deleted) continue
    const shown = value(item.content.getContent()[item.length - 1])
    if (shown !== undefined) entries.push([key.toWellFormed(), shown])
  }
  return Object.fromEntries(entries)
}

const order = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const CHARACTER = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu
const escaped = text => text.toWellFormed().replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replace(CHARACTER, '\u{fffd}')

const START = ':A-Z_a-z\\u{c0}-\\u{d6}\\u{d8}-\\u{f6}\\u{f8}-\\u{2ff}\\u{370}-\\u{37d}\\u{37f}-\\u{1fff}\\u{200c}-\\u{200d}\\u{2070}-\\u{218f}\\u{2c00}-\\u{2fef}\\u{3001}-\\u{d7ff}\\u{f900}-\\u{fdcf}\\u{fdf0}-\\u{fffd}\\u{10000}-\\u{1ffff}'
const notName = new RegExp(`[^-.0-9\\u{b7}${START}]`, 'gu')
const starts = new RegExp(`^[${START}]`, 'u')
function name (text) {
  const kept = text.replace(notName, '_')
  return starts.test(kept) ? kept : '_' + kept
}

const attribute = (key, v) => ` ${name(key)}="${escaped(typeof v === 'string' ? v : JSON.stringify(sorted(plain(v) ?? null)))}"`
const sorted = v => Array.isArray(v) ? v.map(sorted) : v === null || typeof v !== 'object' ? v : Object.fromEntries(Object.keys(v).sort(order).map(key => [key, sorted(v[key])]))

/** Runs of characters with their formats, and embedded values, split where a format mark stands. */
function pieces (type) {
  const out = []
  const formats = new Map()
  let run = null
  for (const { content } of items(type)) {
    if (content instanceof Y.ContentFormat) {
      if (content.value === null) formats.delete(content.key)
      else formats.set(content.key, content.value)
      run = null
    } else if (content instanceof Y.ContentString) {
      if (run) run.insert += content.str
      else out.push(run = { insert: content.str, formats: new Map(formats) })
    } else if (content instanceof Y.ContentEmbed || content instanceof Y.ContentType) {
      run = null
      out.push({ insert: content.getContent()[0], formats: new Map(formats), embed: content instanceof Y.ContentEmbed })
    }
  }
  return out
}

function node (v) {
  if (v instanceof Y.XmlElement) {
    const attributes = []
    for (const [key, item] of [...v._map].sort(([a], [b]) => order(a, b))) {
      if (item.deleted) continue
      const value = item.content.getContent()[item.length - 1]
      if (!(value instanceof Y.AbstractType) && !(value instanceof Y.Doc)) attributes.push(attribute(key, value))
    }
    const tag = name(v.nodeName)
    return `<${tag}${attributes.join('')}>${children(v)}</${tag}>`
  }
  if (v instanceof Y.Text) { // XmlText as well
    return pieces(v).map(piece => {
      const formats = [...piece.formats].sort(([a], [b]) => order(a, b))
      const open = formats.map(([key, f]) => {
        const inside = f !== null && typeof f === 'object' && !Array.isArray(f) && !(f instanceof Uint8Array)
        return `<${name(key)}${inside ? Object.keys(f).sort(order).map(k => attribute(k, f[k])).join('') : ''}>`
      }).join('')
      return open + (typeof piece.insert === 'string' && !piece.embed ? escaped(piece.insert) : child(piece.insert)) + formats.reverse().map(([key]) => `</${name(key)}>`).join('')
    }).join('')
  }
  if (v instanceof Y.XmlFragment) return children(v)
  throw new Error(`no XML: ${v.constructor.name}`)
}

const child = v => v instanceof Y.XmlElement || v instanceof Y.Text || v instanceof Y.XmlFragment ? node(v) : typeof v === 'string' ? escaped(v) : ''

function children (type) {
  const runs = pieces(type)
  if (runs.some(piece => typeof piece.insert === 'string')) return runs.map(piece => child(piece.insert)).join('')
  return [...items(type)].filter(item => item.countable).flatMap(item => item.content.getContent()).map(child).join('')
}

/** A root, by what is in it. */
function root (type) {
  const runs = pieces(type)
  if (runs.some(piece => piece.formats.size > 0 || piece.embed || typeof piece.insert === 'string')) return characters(type)
  const elements = [...items(type)].filter(item => item.countable).flatMap(item => item.content.getContent())
  if (elements.length > 0) {
    const isXml = v => v instanceof Y.XmlElement || v instanceof Y.XmlText || v instanceof Y.XmlFragment
    return elements.every(isXml) ? children(type) : list(type)
  }
  return [...type._map.values()].some(item => !item.deleted) ? map(type) : null
}

/** All roots of a document, as `GET /v1/docs/{doc}/content` shows them. */
export function shown (doc) {
  return Object.fromEntries([...doc.share].map(([key, type]) => [key.toWellFormed(), root(type)]))
}
