// XML as a server exports it, in a form that can be compared: names in lower case as yjs writes them, attributes sorted,
// entities decoded, empty elements alike whichever way they are written. Reads the plain XML that the cases make.

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const decode = text => text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name) =>
  name[0] === '#' ? String.fromCodePoint(name[1] === 'x' ? parseInt(name.slice(2), 16) : Number(name.slice(1))) : entities[name] ?? whole)

/** Nested lists: text as a string, an element as {name, attributes, children}; neighbouring texts are one. */
export function parseXml (source) {
  const root = { children: [] }
  const stack = [root]
  const pattern = /<\/([\w:-]+)\s*>|<([\w:-]+)((?:\s+[\w:-]+\s*=\s*"[^"]*")*)\s*(\/?)>|([^<]+)/gy
  while (pattern.lastIndex < source.length) {
    const at = pattern.lastIndex
    const found = pattern.exec(source)
    if (!found) throw new Error(`not XML at ${at}: ${source.slice(at, at + 80)}`)
    const [, closing, name, attributes, empty, text] = found
    const top = stack.at(-1)
    if (closing !== undefined) {
      if (stack.length === 1 || stack.pop().name !== closing.toLowerCase()) throw new Error(`</${closing}> closes nothing at ${at}`)
    } else if (name !== undefined) {
      const element = { name: name.toLowerCase(), attributes: {}, children: [] }
      const pairs = [...attributes.matchAll(/([\w:-]+)\s*=\s*"([^"]*)"/g)].sort(([, a], [, b]) => a < b ? -1 : 1)
      for (const [, key, value] of pairs) element.attributes[key] = decode(value)
      top.children.push(element)
      if (!empty) stack.push(element)
    } else if (typeof top.children.at(-1) === 'string') {
      top.children.push(top.children.pop() + decode(text))
    } else {
      top.children.push(decode(text))
    }
  }
  if (stack.length !== 1) throw new Error(`<${stack.at(-1).name}> is never closed`)
  return root.children
}
