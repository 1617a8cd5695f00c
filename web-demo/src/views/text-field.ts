// A text field whose text is a Y.Text: two people may write in it at once.

import type * as Y from 'yjs'

/** Binds them; returns how to let go. */
export function bind (field: HTMLTextAreaElement, text: Y.Text): () => void {
  const written = (): void => {
    const [before, after] = [text.toString(), field.value]
    if (before === after) return
    let start = 0
    while (start < before.length && before[start] === after[start]) start++
    let end = 0
    while (end < before.length - start && end < after.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
    // Not within a pair of surrogates: half an emoji is none.
    while (start > 0 && isHigh(before.charCodeAt(start - 1))) start--
    while (end > 0 && isLow(before.charCodeAt(before.length - end))) end--
    text.doc?.transact(() => {
      text.delete(start, before.length - start - end)
      text.insert(start, after.slice(start, after.length - end))
    }, field)
  }
  const changed = (event: Y.YTextEvent): void => {
    if (event.transaction.origin === field) return
    // The cursor stays between the letters where it is.
    const shift = (place: number): number => {
      let at = 0
      for (const { retain, insert, delete: gone } of event.delta) {
        if (at > place) break
        if (retain !== undefined) at += retain
        else if (typeof insert === 'string') {
          if (at < place || (at === place && document.activeElement !== field)) place += insert.length
          at += insert.length
        } else if (gone !== undefined) place -= Math.min(gone, Math.max(0, place - at))
      }
      return place
    }
    const [from, to] = [shift(field.selectionStart), shift(field.selectionEnd)]
    field.value = text.toString()
    if (document.activeElement === field) field.setSelectionRange(from, to)
  }
  field.value = text.toString()
  field.addEventListener('input', written)
  text.observe(changed)
  return () => {
    field.removeEventListener('input', written)
    text.unobserve(changed)
  }
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000
