// The cursors and selections of others in CodeMirror, and ours for them. The binding brings its own, but sets colours in style
// attributes of markup, which the content security policy forbids.

import { Annotation, type Extension, type Range, RangeSet } from '@codemirror/state'
import { Decoration, type DecorationSet, type EditorView, ViewPlugin, type ViewUpdate, WidgetType } from '@codemirror/view'
import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { caret } from '../caret.js'
import { safeColour, safeName } from '../person.js'
import { positions } from './positions.js'

class Caret extends WidgetType {
  #user: Record<string, unknown>
  #client: number
  /** Two with the same key look the same. */
  key: string

  constructor (user: Record<string, unknown>, client: number) {
    super()
    this.#user = user
    this.#client = client
    this.key = `${client} ${safeName(user['name'])} ${safeColour(user['color'])}`
  }

  override eq (other: Caret): boolean { return other.key === this.key }
  override toDOM (): HTMLElement { return caret(this.#user, this.#client) }
  override ignoreEvent (): boolean { return true }
}

const moved = Annotation.define<true>()

export function carets (text: Y.Text, awareness: Awareness): Extension {
  return ViewPlugin.fromClass(class {
    decorations: DecorationSet = RangeSet.empty
    #changed: () => void

    constructor (view: EditorView) {
      // Not within an update of the editor, which a change of our own cursor is.
      this.#changed = () => { queueMicrotask(() => { view.dispatch({ annotations: moved.of(true) }) }) }
      awareness.on('change', this.#changed)
      this.decorations = this.#draw(view)
    }

    destroy (): void {
      awareness.off('change', this.#changed)
    }

    update (update: ViewUpdate): void {
      if (update.selectionSet || update.docChanged || update.focusChanged) this.#tell(update.view)
      if (update.docChanged || update.transactions.some(transaction => transaction.annotation(moved))) this.decorations = this.#draw(update.view)
    }

    #tell (view: EditorView): void {
      if (!view.hasFocus) return
      const { anchor, head } = view.state.selection.main
      const here = positions(awareness, awareness.clientID, text)
      if (here?.anchor === anchor && here.head === head) return
      const place = (index: number): Y.RelativePosition => Y.createRelativePositionFromTypeIndex(text, index)
      awareness.setLocalStateField('cursor', { anchor: place(anchor), head: place(head) })
    }

    #draw (view: EditorView): DecorationSet {
      const { length } = view.state.doc
      const drawn: Array<Range<Decoration>> = []
      for (const [client, state] of awareness.getStates()) {
        if (client === awareness.clientID) continue
        const place = positions(awareness, client, text)
        if (!place) continue
        const user = (state['user'] ?? {}) as Record<string, unknown>
        const [anchor, head] = [Math.min(place.anchor, length), Math.min(place.head, length)]
        const [from, to] = [Math.min(anchor, head), Math.max(anchor, head)]
        if (from < to) drawn.push(Decoration.mark({ class: 'selected', attributes: { style: `background-color: ${safeColour(user['color'])}38` } }).range(from, to))
        // Our own cursor stays outside the selection of another.
        drawn.push(Decoration.widget({ widget: new Caret(user, client), side: head > anchor ? -1 : 1 }).range(head))
      }
      return Decoration.set(drawn, true)
    }
  }, { decorations: plugin => plugin.decorations })
}
