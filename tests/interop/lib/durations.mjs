// A reporter that says at the end how long each file took, the longest first.

import { relative } from 'node:path'

export default async function * durations (source) {
  const seconds = new Map()
  for await (const { type, data } of source) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting !== 0 || !data.file) continue
    seconds.set(data.file, (seconds.get(data.file) ?? 0) + data.details.duration_ms / 1000)
  }
  for (const [file, took] of [...seconds].sort(([, a], [, b]) => b - a)) yield `${took.toFixed(1).padStart(6)} s ${relative(process.cwd(), file)}\n`
}
