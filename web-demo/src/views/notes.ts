// Notes: Quill.

import Quill from 'quill/core'
import Blockquote from 'quill/formats/blockquote'
import Bold from 'quill/formats/bold'
import Header from 'quill/formats/header'
import Italic from 'quill/formats/italic'
import Link from 'quill/formats/link'
import List from 'quill/formats/list'
import Strike from 'quill/formats/strike'
import Underline from 'quill/formats/underline'
import * as cursors from 'quill-cursors/core'
import { QuillBinding } from 'y-quill'
import * as Y from 'yjs'
import 'quill/dist/quill.core.css'
import '../styles/notes.css'
import { perFrame } from '../dom.js'
import { positions } from './positions.js'
import { page, tools, type Tool } from './tools.js'
import type { OpenView } from './view.js'

/** Undoes what was done here, and nothing of others. It takes the place of Quill's own history, which knows no others. */
class SharedHistory {
  manager: Y.UndoManager | undefined

  constructor (quill: Quill) {
    const keys = { z: 'undo', y: 'redo' } as const
    for (const [key, act] of Object.entries(keys)) quill.keyboard.addBinding({ key, shortKey: true, shiftKey: false }, () => { this[act as 'undo' | 'redo']() })
    quill.keyboard.addBinding({ key: ['z', 'Z'], shortKey: true, shiftKey: true }, () => { this.redo() })
    quill.root.addEventListener('beforeinput', event => {
      const act = { historyUndo: 'undo', historyRedo: 'redo' }[event.inputType] as 'undo' | 'redo' | undefined
      if (act === undefined) return
      event.preventDefault()
      this[act]()
    })
  }

  undo (): void { this.manager?.undo() }
  redo (): void { this.manager?.redo() }
  clear (): void { this.manager?.clear() }
  cutoff (): void { this.manager?.stopCapturing() }
}

/** It is packed in a way of which some bundlers make one default more than others. */
const QuillCursors = [cursors, cursors.default, (cursors.default as { default?: unknown }).default].find(one => typeof one === 'function') as typeof cursors.default

Quill.register({
  'formats/blockquote': Blockquote,
  'formats/bold': Bold,
  'formats/header': Header,
  'formats/italic': Italic,
  'formats/link': Link,
  'formats/list': List,
  'formats/strike': Strike,
  'formats/underline': Underline,
  'modules/cursors': QuillCursors,
  'modules/history': SharedHistory
}, true)

export const open: OpenView = (host, session) => {
  const text = session.doc.getText('quill')
  const isOn = (format: string, value: unknown = true): boolean => (quill.getSelection() ? quill.getFormat()[format] : undefined) === value
  const toggle = (format: string, value: unknown = true): void => {
    quill.focus()
    quill.format(format, isOn(format, value) ? false : value, Quill.sources.USER)
  }
  const mark = (label: string, face: string, format: string, value?: unknown): Tool =>
    ({ label, face, isOn: () => isOn(format, value), run: () => { toggle(format, value) } })
  const show = tools(host, 'Format', [
    [mark('Bold', 'B', 'bold'), mark('Italic', 'I', 'italic'), mark('Underline', 'U', 'underline'), mark('Strike', 'S', 'strike')],
    [mark('Heading', 'H2', 'header', 2), mark('List', 'list', 'list', 'bullet'), mark('Tasks', 'check', 'list', 'unchecked'), mark('Quotation', 'quote', 'blockquote')],
    [
      { label: 'Undo', face: 'undo', run: () => { undoManager.undo() } },
      { label: 'Redo', face: 'redo', run: () => { undoManager.redo() } }
    ]
  ])
  const quill = new Quill(page(host, 'notes'), {
    modules: { cursors: { transformOnTextChange: true, hideDelayMs: 600_000 }, history: {} },
    placeholder: 'Notes, lists, tasks: whatever you meet about.'
  })
  quill.root.setAttribute('aria-label', 'Notes')
  quill.root.setAttribute('role', 'textbox')
  quill.root.setAttribute('aria-multiline', 'true')
  const binding = new QuillBinding(text, quill, session.awareness)
  const undoManager = new Y.UndoManager(text, { trackedOrigins: new Set([binding]) })
  ;(quill.history as unknown as SharedHistory).manager = undoManager
  // The cursors lie over the text, and move with it.
  quill.root.addEventListener('scroll', perFrame(() => { (quill.getModule('cursors') as { update: () => void }).update() }), { passive: true })
  quill.on('editor-change', () => { show() })
  show()
  return {
    focus: () => { quill.focus() },
    reveal: client => {
      const place = positions(session.awareness, client, text)
      const bounds = place && quill.getBounds(Math.min(place.head, quill.getLength() - 1))
      if (bounds && (bounds.top < 0 || bounds.bottom > quill.root.clientHeight)) quill.root.scrollTop += bounds.top - quill.root.clientHeight / 2
    },
    destroy: () => {
      binding.destroy()
      undoManager.destroy()
      quill.off('editor-change')
    }
  }
}
