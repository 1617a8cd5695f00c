// Rich text: Tiptap.

import { Editor } from '@tiptap/core'
import { Collaboration } from '@tiptap/extension-collaboration'
import { CollaborationCaret } from '@tiptap/extension-collaboration-caret'
import { Placeholder } from '@tiptap/extensions'
import StarterKit from '@tiptap/starter-kit'
import { caret } from '../caret.js'
import { safeColour } from '../person.js'
import '../styles/write.css'
import { page, tools, type Tool } from './tools.js'
import type { OpenView } from './view.js'

export const open: OpenView = (host, session) => {
  let show = (): void => {}
  const mark = (label: string, face: string, name: string, run: () => void, attributes?: Record<string, unknown>): Tool =>
    ({ label, face, run, isOn: () => editor.isActive(name, attributes) })
  const chain = (): ReturnType<Editor['chain']> => editor.chain().focus()
  const redraw = tools(host, 'Format', [
    [
      mark('Bold', 'B', 'bold', () => chain().toggleBold().run()),
      mark('Italic', 'I', 'italic', () => chain().toggleItalic().run()),
      mark('Underline', 'U', 'underline', () => chain().toggleUnderline().run())
    ],
    [
      mark('Title', 'H1', 'heading', () => chain().toggleHeading({ level: 1 }).run(), { level: 1 }),
      mark('Heading', 'H2', 'heading', () => chain().toggleHeading({ level: 2 }).run(), { level: 2 }),
      mark('List', 'list', 'bulletList', () => chain().toggleBulletList().run()),
      mark('Quotation', 'quote', 'blockquote', () => chain().toggleBlockquote().run())
    ],
    [
      { label: 'Undo', face: 'undo', run: () => { editor.commands.undo() } },
      { label: 'Redo', face: 'redo', run: () => { editor.commands.redo() } }
    ]
  ])
  const editor = new Editor({
    element: page(host, 'write'),
    // The styles come as a file: the content security policy allows no others.
    injectCSS: false,
    extensions: [
      StarterKit.configure({ undoRedo: false, link: { openOnClick: false } }),
      Placeholder.configure({ placeholder: 'Write something. Everyone who has this document open sees it.' }),
      Collaboration.configure({ document: session.doc, field: 'default' }),
      CollaborationCaret.configure({
        provider: { awareness: session.awareness },
        user: { ...session.me },
        render: (user: Record<string, unknown>, client?: number) => caret(user, client ?? 0),
        selectionRender: user => ({ class: 'selected', style: `background-color: ${safeColour(user['color'])}38` })
      })
    ],
    editorProps: { attributes: { 'aria-label': 'Rich text', role: 'textbox', 'aria-multiline': 'true', spellcheck: 'true' } },
    onTransaction: () => { show() }
  })
  show = redraw
  show()
  return {
    focus: () => { editor.commands.focus() },
    reveal: client => { host.querySelector(`.caret[data-client="${client}"]`)?.scrollIntoView({ block: 'center', behavior: 'smooth' }) },
    destroy: () => { editor.destroy() }
  }
}
