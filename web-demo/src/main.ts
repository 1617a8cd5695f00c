// The page at /: one document, several ways to edit it, and what the server makes of it.

import { announce } from './announce.js'
import { count, find, keepFocus, say } from './dom.js'
import { recall, remember } from './memory.js'
import { Pane } from './pane.js'
import { announcePeople } from './people.js'
import { documentOf, isView, linkTo, viewOf, type ViewName } from './place.js'

const name = documentOf(window.location)
let view = viewOf(window.location)
const panes = find(document, '#panes')
let second: Pane | undefined

const first = new Pane(find(panes, '.pane'), name, 1, {
  turned: to => {
    if (to === view) return
    view = to
    window.history.replaceState(null, '', linkTo(name, to))
  },
  switched: showTries
})
const all = (): Pane[] => second ? [first, second] : [first]
/** For whoever looks into the console, and for tests. */
Object.assign(window, { quire: { get panes () { return all().map(pane => pane.session) } } })
void first.turn(view).then(() => { if (window.matchMedia('(hover: hover)').matches && document.activeElement === document.body) first.focus() })
announcePeople(first.session, client => all().some(({ session }) => session.client === client))

// --- The document ---

document.title = `${name} \u2013 Quire`
const input = find<HTMLInputElement>(document, '#doc')
input.value = name
input.addEventListener('change', () => {
  const other = input.value.trim()
  if (other === '') input.value = name
  else if (other !== name) window.location.href = linkTo(other, view)
})
// The fragment alone does not load the page anew, and a session keeps the document it was made for.
window.addEventListener('hashchange', () => { if (documentOf(window.location) !== name) window.location.reload() })
window.addEventListener('beforeunload', event => { if (all().some(({ session }) => session.unconfirmed > 0)) event.preventDefault() })

const share = find(document, '#share')
share.addEventListener('click', () => {
  const link = new URL(linkTo(name, view), document.baseURI).href
  const done = (): void => {
    say(find(share, '.label'), 'Copied')
    announce('The link is copied.')
    setTimeout(() => { say(find(share, '.label'), 'Copy link') }, 1_500)
  }
  // Outside of secure contexts there is no clipboard; then the address is shown for copying by hand.
  const byHand = (): void => { window.prompt('Link to this document', link) }
  const { clipboard } = window.navigator as Partial<Navigator>
  if (clipboard) clipboard.writeText(link).then(done, byHand)
  else byHand()
})

// --- Two panes ---

const split = find(document, '#split')

function setSplit (isSplit: boolean): void {
  if (isSplit === (second !== undefined)) return
  if (isSplit) {
    const copy = find<HTMLTemplateElement>(document, '#pane').content.cloneNode(true) as DocumentFragment
    const element = find(copy, '.pane')
    panes.append(element)
    second = new Pane(element, name, 2, { turned: () => {}, switched: showTries })
    void second.turn(viewShown())
    announce('A second pane is open, for a second person.')
  } else {
    const open = second?.session.unconfirmed ?? 0
    if (open > 0 && !window.confirm(`${count(open, 'edit')} of the second pane would be lost: not on the server's disk yet. Close it all the same?`)) return
    second?.destroy()
    second = undefined
  }
  panes.classList.toggle('is-split', isSplit)
  split.setAttribute('aria-pressed', String(isSplit))
  for (const pane of all()) pane.open('auto')
  showTries()
}

function viewShown (): ViewName {
  const shown = panes.querySelector<HTMLElement>('.tab[aria-selected=true]')?.dataset['view']
  return isView(shown) ? shown : view
}

split.addEventListener('click', () => { setSplit(second === undefined) })

// --- What to try ---

function showTries (): void {
  const { session } = first
  const state: Record<string, boolean> = { split: second !== undefined, cut: session.line.isCut, block: session.forced === 'sse' }
  for (const button of document.querySelectorAll<HTMLElement>('.try')) {
    const isOn = state[button.dataset['try'] as string]
    if (isOn !== undefined) button.setAttribute('aria-pressed', String(isOn))
  }
}

const tries: Record<string, () => void> = {
  split: () => { setSplit(second === undefined) },
  cut: () => { first.cut(!first.session.line.isCut) },
  block: () => {
    first.figures.force(first.session.forced === 'sse' ? undefined : 'sse')
    showTries()
  },
  figures: () => { first.open(first.side === 'line' ? 'none' : 'line') }
}
for (const button of document.querySelectorAll<HTMLElement>('.try')) {
  keepFocus(button)
  button.addEventListener('click', tries[button.dataset['try'] as string] as () => void)
}
showTries()

find(document, '#intro-close').addEventListener('click', () => {
  document.documentElement.dataset['intro'] = 'hidden'
  remember('intro', false)
  first.focus()
})

// --- Light and dark ---

const THEMES = ['auto', 'light', 'dark'] as const
const LABELS = { auto: 'as the system has it', light: 'light', dark: 'dark' }
const theme = find(document, '#theme')

function setTheme (to: typeof THEMES[number]): void {
  if (to === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = to
  theme.setAttribute('aria-label', `Appearance: ${LABELS[to]}`)
  theme.title = `Appearance: ${LABELS[to]}`
}
let chosen = THEMES.find(one => one === recall('theme')) ?? 'auto'
setTheme(chosen)
theme.addEventListener('click', () => {
  chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length] as typeof chosen
  remember('theme', chosen)
  setTheme(chosen)
  announce(`Appearance: ${LABELS[chosen]}.`)
})

