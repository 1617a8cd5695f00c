// Makes a failing history smaller while it still fails.

import { DELIVERIES, EDITS, makeHistory } from './histories.mjs'

/**
 * @param {import('./histories.mjs').History} history one that fails
 * @param {(history: import('./histories.mjs').History) => Promise<Error | null>} fails resolves with how it fails, or null
 * @param {{ seconds?: number, without?: string[] }} [options] `seconds` bounds the whole search;
 *   `without`: kinds that were off when the history was made
 * @returns {Promise<{ history: import('./histories.mjs').History, error: Error, without: string[], tries: number }>}
 */
export async function shrink (history, fails, { seconds = 60, without: alreadyOff = [] } = {}) {
  const end = performance.now() + seconds * 1000
  const late = () => performance.now() > end
  let tries = 0
  const attempt = async candidate => { tries++; return await fails(candidate) }
  let best = { history, error: await attempt(history), without: alreadyOff }
  if (!best.error) throw new Error('not shrunk: this history does not fail again')

  // Whole kinds first, deliveries before edits.
  for (const kind of [...DELIVERIES, ...EDITS]) {
    if (late()) break
    if (!best.history.kinds.includes(kind)) continue
    const without = [...best.without, kind]
    const candidate = makeHistory(history.seed, { without, operations: history.operations })
    const error = await attempt(candidate)
    if (error) best = { history: candidate, error, without }
  }

  // Then single edits, in halves, quarters, ...
  const leaveOut = new Set()
  for (let size = Math.ceil(history.operations / 2); size >= 1 && !late(); size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < history.operations && !late(); from += size) {
      const block = Array.from({ length: size }, (_, i) => from + i).filter(n => n < history.operations && !leaveOut.has(n))
      if (block.length === 0) continue
      const candidate = makeHistory(history.seed, { without: best.without, leaveOut: new Set([...leaveOut, ...block]), operations: history.operations })
      const error = await attempt(candidate)
      if (!error) continue
      for (const n of block) leaveOut.add(n)
      best = { ...best, history: candidate, error }
    }
  }

  // Then single deliveries: any selection of them is a valid history, with gaps if need be.
  for (const list of ['steps', 'late']) {
    for (let size = Math.ceil(best.history[list].length / 2); size >= 1 && !late(); size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < best.history[list].length && !late();) {
        const candidate = { ...best.history, [list]: best.history[list].toSpliced(from, size) }
        const error = await attempt(candidate)
        if (error) best = { ...best, history: candidate, error }
        else from += size
      }
    }
  }
  return { ...best, tries }
}
