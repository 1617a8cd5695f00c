// Reads a dumped store by FORMAT.md alone: nothing here knows the code that wrote it.

const FORMAT_KEY = Buffer.from('00666f726d6174', 'hex')
const COMMITS_KEY = Buffer.from('ff636f6d6d697473', 'hex')
const KINDS = { format: 1, catalog: 2, name: 3, update: 4, updatePart: 5, snapshot: 6, snapshotPart: 7 }

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1
  return byte
})

/** CRC-32 (IEEE 802.3, reflected). */
export function crc32 (...parts) {
  let crc = 0xffffffff
  for (const part of parts) for (const byte of part) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** Section 3: kind and payload of a record. */
export function record (key, value) {
  if (value.length < 10) throw new Error('the record is cut short')
  if (value[0] !== 1) throw new Error(`record version ${value[0]}`)
  const payload = value.subarray(10)
  if (value.readUInt32BE(2) !== payload.length) throw new Error('the length is not that of the rest')
  if (value.readUInt32BE(6) !== crc32(key, value.subarray(0, 6), payload)) throw new Error('the checksum differs')
  return { kind: value[1], payload }
}

/** Section 4: a postcard structure of unsigned integers and options. */
class Postcard {
  at = 0
  constructor (bytes) { this.bytes = bytes }

  u64 () {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.at++]
      if (byte === undefined) throw new Error('a structure is cut short')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new Error('a number has more than 10 bytes')
  }

  option (read) {
    const there = this.bytes[this.at++]
    if (there !== 0 && there !== 1) throw new Error(`option ${there}`)
    return there === 1 ? read() : null
  }

  end () { if (this.at !== this.bytes.length) throw new Error('something follows the structure') }
}

function catalogEntry (payload) {
  const from = new Postcard(payload)
  const entry = {
    number: from.u64(), epoch: from.u64(), seq: from.u64(), logBytes: from.u64(),
    snapshot: from.option(() => ({ generation: from.u64(), seq: from.u64(), bytes: from.u64() }))
  }
  from.end()
  return entry
}

/** The entries of a dump: one line for each, key and value in hexadecimal. */
export function entries (text) {
  return text.split('\n').filter(line => line !== '').map(line => {
    const [key, value] = line.split(' ').map(hex => Buffer.from(hex ?? '', 'hex'))
    return { key, value }
  })
}

const u64 = number => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(number)
  return bytes
}

/** Sections 2 to 6: every document of a store. @returns {Map<string, { epoch: bigint, seq: bigint, snapshot: Buffer | null, updates: Buffer[] }>} */
export function documents (dump) {
  const found = new Map(dump.map(({ key, value }) => [key.toString('hex'), value]))
  const at = key => found.get(key.toString('hex'))
  const format = record(FORMAT_KEY, at(FORMAT_KEY))
  if (format.kind !== KINDS.format || format.payload.readUInt32BE(0) !== 1) throw new Error('not format 1')
  const seen = new Set([FORMAT_KEY.toString('hex'), COMMITS_KEY.toString('hex')])

  const take = key => {
    const value = at(key)
    if (value === undefined) throw new Error(`nothing at ${key.toString('hex')}`)
    seen.add(key.toString('hex'))
    return record(key, value)
  }
  /** A payload in chunks, from 0 to the first that is the last one. */
  const payload = (keyspace, number, major, part, last) => {
    const chunks = []
    for (let chunk = 0; ; chunk++) {
      const number32 = Buffer.alloc(4)
      number32.writeUInt32BE(chunk)
      const { kind, payload } = take(Buffer.concat([Buffer.from([1, keyspace]), u64(number), u64(major), number32]))
      if (kind !== part && kind !== last) throw new Error(`a chunk of kind ${kind}`)
      chunks.push(payload)
      if (kind === last) return Buffer.concat(chunks)
    }
  }

  const all = new Map()
  for (const { key } of dump) {
    if (key[0] !== 1 || key[1] !== 1) continue
    const { kind, payload: bytes } = take(key)
    if (kind !== KINDS.catalog) throw new Error(`kind ${kind} in the catalog`)
    const entry = catalogEntry(bytes)
    const name = new TextDecoder('utf-8', { fatal: true }).decode(key.subarray(2))
    const named = take(Buffer.concat([Buffer.from([1, 2]), u64(entry.number)]))
    if (named.kind !== KINDS.name || named.payload.toString() !== name) throw new Error(`number ${entry.number} is not the one of ${name}`)
    const snapshot = entry.snapshot && payload(4, entry.number, entry.snapshot.generation, KINDS.snapshotPart, KINDS.snapshot)
    if (snapshot && BigInt(snapshot.length) !== entry.snapshot.bytes) throw new Error('a snapshot of another size')
    const updates = []
    for (let seq = (entry.snapshot?.seq ?? 0n) + 1n; seq <= entry.seq; seq++) updates.push(payload(3, entry.number, seq, KINDS.updatePart, KINDS.update))
    if (updates.reduce((sum, { length }) => sum + BigInt(length), 0n) !== entry.logBytes) throw new Error('a log of another size')
    all.set(name, { epoch: entry.epoch, seq: entry.seq, snapshot, updates })
  }
  const rest = [...found.keys()].filter(key => !seen.has(key))
  if (rest.length > 0) throw new Error(`what are these: ${rest}`)
  return all
}
