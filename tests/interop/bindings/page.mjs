// Four editors on one document, each through its own unmodified binding, all through one provider of our package.

import { createBinding, initLocalState, syncCursorPositions, syncLexicalUpdateToYjs, syncYjsChangesToLexical } from '@lexical/yjs'
import { registerRichText } from '@lexical/rich-text'
import { EditorView, basicSetup } from 'codemirror'
import { $createParagraphNode, $getRoot, createEditor } from 'lexical'
import { schema } from 'prosemirror-schema-basic'
import { EditorState } from 'prosemirror-state'
import { EditorView as ProseView } from 'prosemirror-view'
import Quill from 'quill'
import { QuireProvider } from 'quire-client'
import { yCollab } from 'y-codemirror.next'
import { IndexeddbPersistence } from 'y-indexeddb'
import { ySyncPlugin, yCursorPlugin } from 'y-prosemirror'
import { QuillBinding } from 'y-quill'
import * as Y from 'yjs'

const query = new URLSearchParams(location.search)
const doc = new Y.Doc()
const provider = new QuireProvider(query.get('server'), query.get('name'), doc, { connect: false, tabs: false })
const place = id => document.body.appendChild(Object.assign(document.createElement('div'), { id }))
window.quire = { doc, provider, errors: [] }
provider.setUser({ id: query.get('user'), name: query.get('user'), color: '#30bced' })

if (query.has('indexeddb')) window.quire.persistence = new IndexeddbPersistence(query.get('name'), doc)

const prose = new ProseView(place('prosemirror'), {
  state: EditorState.create({ schema, plugins: [ySyncPlugin(doc.getXmlFragment('prosemirror')), yCursorPlugin(provider.awareness)] })
})
const code = new EditorView({ doc: doc.getText('codemirror').toString(), extensions: [basicSetup, yCollab(doc.getText('codemirror'), provider.awareness)], parent: place('codemirror') })
const quill = new Quill(place('quill'), { theme: false, modules: { toolbar: false } })
const quillBinding = new QuillBinding(doc.getText('quill'), quill, provider.awareness)

// What @lexical/react does with a provider, without React: its own events and calls, and nothing that only ours has.
const lexical = createEditor({ namespace: 'test', onError: error => window.quire.errors.push(String(error)) })
const rootElement = place('lexical')
rootElement.contentEditable = 'true'
lexical.setRootElement(rootElement)
registerRichText(lexical)
const docMap = new Map([['lexical', doc]])
const binding = createBinding(lexical, provider, 'lexical', doc, docMap)
initLocalState(provider, query.get('user'), '#30bced', false, {})
provider.on('status', ({ status }) => { window.quire.lexicalStatus = status })
provider.on('reload', () => {})
provider.on('sync', synced => {
  if (!synced || binding.root.getSharedType().length > 0) return
  lexical.update(() => { if ($getRoot().isEmpty()) $getRoot().append($createParagraphNode()) }, { tag: 'history-merge' })
})
provider.awareness.on('update', () => syncCursorPositions(binding, provider))
binding.root.getSharedType().observeDeep((events, transaction) => {
  if (transaction.origin !== binding) syncYjsChangesToLexical(binding, provider, events, transaction.origin instanceof Y.UndoManager)
})
lexical.registerUpdateListener(({ prevEditorState, editorState, dirtyLeaves, dirtyElements, normalizedNodes, tags }) => {
  if (!tags.has('skip-collab')) syncLexicalUpdateToYjs(binding, provider, prevEditorState, editorState, dirtyElements, dirtyLeaves, normalizedNodes, tags)
})
provider.connect()

/** What the browser's database holds, by a reader of its own. */
async function stored () {
  const copy = new Y.Doc()
  const persistence = new IndexeddbPersistence(query.get('name'), copy)
  await persistence.whenSynced
  const text = copy.getText('codemirror').toString()
  await persistence.destroy()
  return text
}

Object.assign(window.quire, {
  stored,
  texts: () => ({ prosemirror: prose.state.doc.textContent, codemirror: code.state.doc.toString(), quill: quill.getText().trim(), lexical: lexical.getEditorState().read(() => $getRoot().getTextContent()) }),
  quillBinding
})
