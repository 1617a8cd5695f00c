// The page at /: one text that everyone edits who opens it.
import { EditorState } from '@codemirror/state'
import { EditorView, drawSelection, highlightSpecialChars, keymap, placeholder } from '@codemirror/view'
import { defaultKeymap } from '@codemirror/commands'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { documentOf, linkTo } from './location.js'
import { freeColour, person, recolour, rename } from './person.js'
import { showPeople } from './people.js'

const element = id => document.getElementById(id)
const doc = documentOf(window.location)
const me = person()

const ydoc = new Y.Doc()
const text = ydoc.getText('content')
const base = new URL('.', window.location.href)
base.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:'
const provider = new WebsocketProvider(`${base.origin}${base.pathname}ws`, encodeURIComponent(doc), ydoc, {
  disableBc: true,
})
const { awareness } = provider
awareness.setLocalStateField('user', me)

const theme = EditorView.theme({
  '&': { color: 'var(--ink)', backgroundColor: 'transparent', fontSize: '1rem' },
  '.cm-scroller': { fontFamily: 'ui-serif, Georgia, Cambria, "Times New Roman", serif', lineHeight: '1.65', padding: '1rem 0' },
  '.cm-content': { caretColor: 'var(--ink)', padding: '0 1.25rem', maxWidth: '100%' },
  '.cm-line': { padding: '0' },
  '.cm-placeholder': { color: 'var(--soft)' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)', borderLeftWidth: '2px' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
    backgroundColor: 'var(--selection)',
  },
  '.cm-ySelectionInfo': { fontFamily: 'system-ui, sans-serif', borderRadius: '3px', padding: '1px 5px' },
})

const view = new EditorView({
  parent: element('editor'),
  state: EditorState.create({
    doc: text.toString(),
    extensions: [
      keymap.of([...yUndoManagerKeymap, ...defaultKeymap]),
      highlightSpecialChars(),
      drawSelection(),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': 'Shared text', spellcheck: 'true', autocapitalize: 'on' }),
      placeholder('Write something. Everyone who has this document open sees it.'),
      theme,
      yCollab(text, awareness, { undoManager: new Y.UndoManager(text) }),
    ],
  }),
})

element('doc').value = doc
element('doc').addEventListener('change', event => {
  const name = event.target.value.trim()
  if (name === '') event.target.value = doc
  else if (name !== doc) window.location.href = linkTo(name)
})
// The fragment alone does not load the page anew, and a provider keeps the document it was made for.
window.addEventListener('hashchange', () => window.location.reload())

element('name').value = me.name
element('name').addEventListener('change', event => {
  Object.assign(me, rename(me, event.target.value))
  event.target.value = me.name
  awareness.setLocalStateField('user', { ...me })
})

element('share').addEventListener('click', async event => {
  const link = new URL(linkTo(doc), window.location.href).href
  try {
    await navigator.clipboard.writeText(link)
    event.target.textContent = 'Copied'
  } catch {
    // Not allowed outside of secure contexts; then the address is shown for copying by hand.
    window.prompt('Link to this document', link)
  }
  setTimeout(() => { event.target.textContent = 'Copy link' }, 1500)
})

const showStatus = (state, words) => {
  element('status').dataset.state = state
  element('status-text').textContent = words
}
provider.on('status', ({ status }) => {
  if (status === 'connected') showStatus('connecting', 'loading')
  else if (status === 'connecting') showStatus('connecting', 'connecting')
  else showStatus('offline', 'offline, edits are kept here')
})
provider.on('connection-error', () => showStatus('offline', 'offline, edits are kept here'))
provider.on('sync', synced => {
  if (synced) showStatus('synced', 'connected')
})

const showEveryone = () => {
  const colour = freeColour(awareness)
  if (colour !== me.color) {
    Object.assign(me, recolour(me, colour))
    // Within a change of the same awareness; the others first.
    queueMicrotask(() => awareness.setLocalStateField('user', { ...me }))
  }
  const people = showPeople(element('people'), awareness)
  element('count').textContent = people === 1 ? '1 person' : `${people} people`
  element('tip').hidden = people > 1
}
awareness.on('change', showEveryone)
showEveryone()

const showSize = () => {
  const { length } = text
  element('size').textContent = length === 1 ? '1 character' : `${length.toLocaleString('en')} characters`
}
text.observe(showSize)
showSize()

document.title = `${doc} - Quire`
view.focus()
