// A pane: one visitor's view of the document, with its sign, its people, its chat and its line.

import { announce } from './announce.js'
import { showChat } from './chat.js'
import { find, keepFocus, make, perFrame, say } from './dom.js'
import { type Figures, showFigures } from './figures.js'
import { everyone, picture, showPeople } from './people.js'
import { COLOURS, safeName } from './person.js'
import { isView, VIEWS, type ViewName } from './place.js'
import { Session } from './session.js'
import { showSign } from './sign.js'
import type { OpenView, View } from './views/view.js'

/** Each comes when it is asked for, and not before. */
const LOADERS: Record<ViewName, () => Promise<{ open: OpenView }>> = {
  write: () => import('./views/write.js'),
  code: () => import('./views/code.js'),
  notes: () => import('./views/notes.js'),
  board: () => import('./views/board.js')
}

type Side = 'auto' | 'chat' | 'line' | 'none'

export interface PaneEvents {
  /** It shows another part of the document. */
  turned: (view: ViewName) => void
  /** The line was cut or put back, or another way to the server was chosen. */
  switched: () => void
}

export class Pane {
  readonly session: Session
  readonly element: HTMLElement
  readonly figures: Figures
  #events: PaneEvents
  #view: View | undefined
  #viewName: ViewName | undefined
  #followed: number | undefined
  #chat: ReturnType<typeof showChat>
  #redrawPeople: () => void

  constructor (element: HTMLElement, name: string, seat: number, events: PaneEvents) {
    this.element = element
    this.#events = events
    this.session = new Session(name, seat)
    element.setAttribute('aria-label', seat === 1 ? 'Editor' : 'Second editor')
    showSign(find(element, '.sign'), this.session)
    this.#chat = showChat(element, this.session)
    this.figures = showFigures(element, this.session)
    this.#redrawPeople = showPeople(element, this.session, () => this.#followed, { follow: client => { this.#follow(client === this.#followed ? undefined : client) } })
    this.#listenTabs()
    this.#listenSides()
    this.#listenMe()
    const cut = find(element, '.cut')
    cut.title = 'Cut the line of this pane'
    keepFocus(cut)
    cut.addEventListener('click', () => { this.cut(!this.session.line.isCut) })
    this.session.on('people', () => { this.#stayWithFollowed() })
    // Whose cursor is at the end of a text moves by writing, without a word of it.
    this.session.doc.on('update', perFrame(() => { this.#stayWithFollowed() }))
    // Whoever acts here does not follow any more.
    for (const event of ['keydown', 'pointerdown', 'wheel']) find(element, '.sheet').addEventListener(event, () => { this.#follow(undefined) }, { passive: true })
    element.addEventListener('keydown', event => { if (event.key === 'Escape') this.#escape() })
  }

  /** Cuts the line of this pane, or puts it back. */
  cut (isCut: boolean): void {
    if (isCut) this.session.cut()
    else this.session.restore()
    const button = find(this.element, '.cut')
    button.setAttribute('aria-pressed', String(isCut))
    say(find(button, '.label'), isCut ? 'Restore' : 'Cut the line')
    button.title = isCut ? 'Put the line back' : 'Cut the line of this pane'
    this.#events.switched()
  }

  /** Shows this part of the document. */
  async turn (name: ViewName): Promise<void> {
    if (name === this.#viewName) return
    this.#viewName = name
    for (const tab of this.#tabs()) {
      const isThis = tab.dataset['view'] === name
      tab.setAttribute('aria-selected', String(isThis))
      tab.tabIndex = isThis ? 0 : -1
      if (isThis) find(this.element, '.sheet').setAttribute('aria-labelledby', tab.id)
    }
    this.#events.turned(name)
    const sheet = find(this.element, '.sheet')
    this.#view?.destroy()
    this.#view = undefined
    this.session.awareness.setLocalState({ ...this.session.awareness.getLocalState(), cursor: null, card: null, view: name })
    const host = make('div', { class: `view view-${name}` }, make('p', { class: 'loading' }, 'Loading the editor'))
    sheet.replaceChildren(host)
    try {
      const { open } = await LOADERS[name]()
      if (this.#viewName !== name || !host.isConnected) return
      host.replaceChildren()
      this.#view = open(host, this.session)
      this.#stayWithFollowed()
    } catch (error) {
      console.error(error)
      this.#viewName = undefined
      const again = make('button', { type: 'button', class: 'button' }, 'Try again')
      again.addEventListener('click', () => { void this.turn(name) })
      host.replaceChildren(make('p', { class: 'loading is-failed' }, 'This editor could not be loaded. '), again)
    }
  }

  focus (): void { this.#view?.focus() }

  /** Opens a drawer, or closes both. */
  open (side: Side): void {
    this.element.dataset['side'] = side
    this.#sidesChanged()
  }

  /** What is seen beside the sheet. */
  get side (): Side {
    for (const side of ['chat', 'line'] as const) if (getComputedStyle(find(this.element, `.side-${side}`)).display !== 'none') return side
    return 'none'
  }

  destroy (): void {
    this.figures.shown(false)
    this.#view?.destroy()
    this.session.destroy()
    this.element.remove()
  }

  // --- Tabs ---

  #tabs (): HTMLElement[] {
    return [...this.element.querySelectorAll<HTMLElement>('.tab')]
  }

  #listenTabs (): void {
    const tabs = this.#tabs()
    const sheet = find(this.element, '.sheet')
    sheet.id = `sheet-${this.session.seat}`
    for (const [at, tab] of tabs.entries()) {
      const name = tab.dataset['view']
      if (!isView(name)) continue
      tab.id = `tab-${this.session.seat}-${name}`
      tab.setAttribute('aria-controls', sheet.id)
      tab.addEventListener('click', () => {
        this.#follow(undefined)
        void this.turn(name)
      })
      tab.addEventListener('keydown', event => {
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: VIEWS.length - 1 }[event.key]
        if (to === undefined) return
        event.preventDefault()
        const next = tabs[(to + tabs.length) % tabs.length] as HTMLElement
        next.focus()
        next.click()
      })
    }
  }

  // --- Drawers ---

  #listenSides (): void {
    const toggle = (side: 'chat' | 'line') => () => { this.open(this.side === side ? 'none' : side) }
    find(this.element, '.chat-toggle').addEventListener('click', toggle('chat'))
    find(this.element, '.sign').addEventListener('click', toggle('line'))
    for (const [side, opener] of [['chat', '.chat-toggle'], ['line', '.sign']] as const) {
      find(this.element, `.side-${side} .side-close`).addEventListener('click', () => {
        this.open('none')
        find(this.element, opener).focus()
      })
    }
    window.addEventListener('resize', () => { this.#sidesChanged() })
    this.#sidesChanged()
  }

  #sidesChanged (): void {
    const { side } = this
    find(this.element, '.chat-toggle').setAttribute('aria-expanded', String(side === 'chat'))
    find(this.element, '.sign').setAttribute('aria-expanded', String(side === 'line'))
    this.#chat.shown(side === 'chat')
    this.figures.shown(side === 'line')
  }

  // --- Oneself ---

  #listenMe (): void {
    const { session } = this
    const input = find<HTMLInputElement>(this.element, '.me-input')
    const colours = find(this.element, '.me-colours')
    for (const [at, colour] of COLOURS.entries()) {
      const radio = make('input', { type: 'radio', name: `colour-${session.seat}`, value: colour, 'aria-label': `Colour ${at + 1}` })
      radio.style.setProperty('--who', colour)
      radio.addEventListener('change', () => { session.become(session.me.name, colour) })
      colours.append(radio)
    }
    input.addEventListener('change', () => { session.become(input.value.trim() === '' ? session.me.name : safeName(input.value), session.me.color) })
    find(this.element, '.me-card').addEventListener('submit', event => {
      event.preventDefault()
      input.blur()
      find<HTMLDetailsElement>(this.element, '.me').open = false
    })
    let shown = ''
    const show = (): void => {
      const { name, color } = session.me
      if (shown === name + color) return
      shown = name + color
      find(this.element, '.me-face').replaceChildren(picture(name, color))
      say(find(this.element, '.me-name'), name)
      input.value = name
      const chosen = colours.querySelector<HTMLInputElement>(`[value="${color}"]`)
      if (chosen) chosen.checked = true
    }
    session.on('people', show)
    show()
    document.addEventListener('pointerdown', event => {
      const card = find<HTMLDetailsElement>(this.element, '.me')
      if (card.open && !card.contains(event.target as Node)) card.open = false
    })
  }

  #escape (): void {
    const card = find<HTMLDetailsElement>(this.element, '.me')
    if (card.open) {
      card.open = false
      find(card, 'summary').focus()
    }
    this.#follow(undefined)
  }

  // --- Following ---

  #follow (client: number | undefined): void {
    if (client === this.#followed) return
    this.#followed = client
    const one = everyone(this.session).find(other => other.client === client)
    const button = find(this.element, '.following')
    button.hidden = one === undefined
    this.element.classList.toggle('is-following', one !== undefined)
    if (one) {
      this.element.style.setProperty('--followed', one.color)
      say(button, `Following ${one.name}`)
      button.onclick = () => { this.#follow(undefined) }
      announce(`You follow ${one.name}. Press Escape to stop.`)
      this.#stayWithFollowed()
    }
    this.#redrawPeople()
  }

  #stayWithFollowed (): void {
    if (this.#followed === undefined) return
    const one = everyone(this.session).find(({ client }) => client === this.#followed)
    if (!one) {
      if (this.session.state.is === 'on') this.#follow(undefined)
    } else if (one.view && one.view !== this.#viewName) {
      void this.turn(one.view)
    } else {
      const { client } = one
      // Once the editor has drawn where they are.
      requestAnimationFrame(() => { this.#view?.reveal(client) })
    }
  }
}
