// Three real editors for the browser: Tiptap on a Hocuspocus provider, CodeMirror and Quill on y-websocket. Each page also shows what
// another one edits. Bundled when a test serves it.

import { CollaborationCaret } from '@tiptap/extension-collaboration-caret'
import { Collaboration } from '@tiptap/extension-collaboration'
import { HocuspocusProvider } from '@hocuspocus/provider'
import { Editor } from '@tiptap/core'
import StarterKit from '@tiptap/starter-kit'
import { EditorView, basicSetup } from 'codemirror'
import Quill from 'quill'
import QuillCursors from 'quill-cursors'
import { yCollab } from 'y-codemirror.next'
import { QuillBinding } from 'y-quill'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const { server, name, user, editor } = Object.fromEntries(new URLSearchParams(window.location.search))
const element = id => document.getElementById(id)
const doc = new Y.Doc()
const text = doc.getText('source')
const rich = doc.getXmlFragment('default')
const me = { name: user, color: '#30a0d0' }

const show = () => {
  element('other').textContent = editor === 'tiptap' ? text.toString() : rich.toString()
}
text.observe(show)
rich.observeDeep(show)

function people (awareness) {
  const list = () => {
    element('people').textContent = [...awareness.getStates().values()].map(state => state.user?.name).filter(Boolean).sort().join()
  }
  awareness.on('change', list)
  list()
}

if (editor === 'tiptap') {
  // The address of a server and a name: what a Tiptap user has.
  const provider = new HocuspocusProvider({
    url: server,
    name,
    document: doc,
    onSynced: () => { element('status').textContent = 'synced' },
    onDisconnect: () => { element('status').textContent = 'lost' },
    onUnsyncedChanges: () => { element('unsaved').textContent = String(provider.unsyncedChanges) }
  })
  people(provider.awareness)
  window.editor = new Editor({
    element: element('editor'),
    extensions: [
      StarterKit.configure({ undoRedo: false }),
      Collaboration.configure({ document: doc }),
      CollaborationCaret.configure({ provider, user: me })
    ]
  })
} else {
  const provider = new WebsocketProvider(server, encodeURIComponent(name), doc, { disableBc: true })
  provider.awareness.setLocalStateField('user', me)
  provider.on('sync', synced => { if (synced) element('status').textContent = 'synced' })
  provider.on('connection-close', () => { element('status').textContent = 'lost' })
  people(provider.awareness)
  if (editor === 'quill') {
    Quill.register('modules/cursors', QuillCursors)
    const quill = new Quill(element('editor'), { modules: { cursors: true, toolbar: false } })
    window.editor = new QuillBinding(doc.getText('quill'), quill, provider.awareness)
  } else window.editor = new EditorView({
    parent: element('editor'),
    doc: text.toString(),
    extensions: [basicSetup, yCollab(text, provider.awareness)]
  })
}
