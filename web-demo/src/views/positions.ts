// Where the cursors of others stand in a text.

import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'

interface Cursor {
  anchor: unknown
  head: unknown
}

/** Where a cursor of somebody stands in this text; `undefined` if it is in another. */
export function positions (awareness: Awareness, client: number, text: Y.Text): { anchor: number, head: number } | undefined {
  const cursor = awareness.getStates().get(client)?.['cursor'] as Cursor | null | undefined
  if (cursor?.anchor == null || cursor.head == null) return undefined
  const place = (position: unknown): Y.AbsolutePosition | null =>
    Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(position), text.doc as Y.Doc)
  const [anchor, head] = [place(cursor.anchor), place(cursor.head)]
  return anchor?.type === text && head?.type === text ? { anchor: anchor.index, head: head.index } : undefined
}
