// How far the server's resident memory rises over a stretch of a test, by the kernel's own high-water mark.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'

export const MB = 1024 * 1024

/** Starts a stretch: resets the high-water mark. `rise()` is the highest resident memory since, less that at the start. */
export function watchMemory (server) {
  writeFileSync(`/proc/${server.pid}/clear_refs`, '5')
  const base = server.memory().rss
  return {
    base,
    rise: () => server.memory().peak - base,
    assertRise (bytes) {
      const rise = this.rise()
      const told = `resident memory rose by ${(rise / MB).toFixed(1)} MB from ${(base / MB).toFixed(1)} MB`
      assert.ok(rise < bytes, `${told}; the bound is ${bytes / MB} MB`)
      return told
    }
  }
}
