// Code: CodeMirror 6.

import { defaultKeymap, indentWithTab } from '@codemirror/commands'
import { javascript } from '@codemirror/lang-javascript'
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { EditorState } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import * as Y from 'yjs'
import '../styles/code.css'
import { carets } from './carets.js'
import { positions } from './positions.js'
import { page, tools } from './tools.js'
import type { OpenView } from './view.js'

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.regexp, tags.special(tags.string)], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--code-number)' },
  { tag: [tags.comment], color: 'var(--soft)', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName), tags.className, tags.typeName], color: 'var(--code-name)' }
])

export const open: OpenView = (host, session) => {
  const text = session.doc.getText('source')
  const { awareness } = session
  const undoManager = new Y.UndoManager(text)
  tools(host, 'Edit', [[
    { label: 'Undo', face: 'undo', run: () => { undoManager.undo() } },
    { label: 'Redo', face: 'redo', run: () => { undoManager.redo() } }
  ]])
  const view = new EditorView({
    parent: page(host, 'code'),
    state: EditorState.create({
      doc: text.toString(),
      extensions: [
        lineNumbers(),
        highlightSpecialChars(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        EditorView.lineWrapping,
        EditorState.tabSize.of(2),
        javascript({ typescript: true }),
        syntaxHighlighting(colours),
        // Escape, then Tab, leaves the editor.
        keymap.of([...yUndoManagerKeymap, indentWithTab, ...defaultKeymap]),
        EditorView.contentAttributes.of({ 'aria-label': 'Code. To leave with Tab, press Escape first.', spellcheck: 'false', autocorrect: 'off', autocapitalize: 'off' }),
        placeholder('// Write some code, together.'),
        yCollab(text, null, { undoManager }),
        carets(text, awareness)
      ]
    })
  })
  return {
    focus: () => { view.focus() },
    reveal: client => {
      const place = positions(awareness, client, text)
      if (place) view.dispatch({ effects: EditorView.scrollIntoView(Math.min(place.head, view.state.doc.length), { y: 'center' }) })
    },
    destroy: () => {
      view.destroy()
      undoManager.destroy()
    }
  }
}
