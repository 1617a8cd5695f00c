// The files of a store, damaged on purpose.

import { closeSync, cpSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where each store keeps its data, below the data folder of a `Server`. */
export const dataFile = { redb: 'quire.redb', sled: 'sled/quire.sled/db' }

/** The folder in which each store has its lock file. */
export const lockFolder = { redb: '', sled: 'sled' }

/** A copy of a folder, removed after the test. */
export function copyOf (folder, t) {
  const copy = mkdtempSync(join(tmpdir(), 'quire-copy-'))
  t.after(() => rmSync(copy, { recursive: true, force: true }))
  cpSync(folder, copy, { recursive: true })
  return copy
}

/** Every file below a folder. */
export function filesBelow (folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true }).filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
}

/** Takes bytes off the end of a file. */
export function cut (file, bytes) { truncateSync(file, Math.max(0, statSync(file).size - bytes)) }

/** Writes zeros over the end of a file. */
export function zeroTail (file, bytes) {
  const { size } = statSync(file)
  write(file, Buffer.alloc(Math.min(bytes, size)), Math.max(0, size - bytes))
}

/** Flips a bit in every place where a file holds this text. Returns how many there are. */
export function flip (file, text) {
  const content = readFileSync(file)
  let count = 0
  for (let at = content.indexOf(text); at >= 0; at = content.indexOf(text, at + 1)) {
    write(file, Buffer.from([content[at] ^ 1]), at)
    count++
  }
  return count
}

function write (file, bytes, at) {
  const fd = openSync(file, 'r+')
  try {
    writeSync(fd, bytes, 0, bytes.length, at)
  } finally {
    closeSync(fd)
  }
}
