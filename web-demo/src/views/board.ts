// A board of cards. The array `board` holds one map for each card: its text, its column, and its place there.
//
// A card that is moved changes two fields of its map and stays the card it was: two who move it at once do not double it.

import * as Y from 'yjs'
import { announce } from '../announce.js'
import { find, make, perFrame, say } from '../dom.js'
import { everyone } from '../people.js'
import { safeColour } from '../person.js'
import '../styles/board.css'
import { bind } from './text-field.js'
import { tools } from './tools.js'
import type { OpenView } from './view.js'

const COLUMNS = [['ideas', 'Ideas'], ['doing', 'Doing'], ['done', 'Done']] as const
type ColumnName = typeof COLUMNS[number][0]

interface Card {
  id: string
  map: Y.Map<unknown>
  text: Y.Text
  column: ColumnName
  place: number
  color: string
}

/** The cards of a board, in the order they are shown; what is none, which other programs may have written, is left out. */
function cardsOf (board: Y.Array<unknown>): Card[] {
  const cards: Card[] = []
  const seen = new Set<string>()
  for (const map of board) {
    if (!(map instanceof Y.Map)) continue
    const [id, text, column, place] = ['id', 'text', 'column', 'place'].map(key => map.get(key) as unknown)
    const known = COLUMNS.find(([name]) => name === column)
    if (typeof id !== 'string' || !(text instanceof Y.Text) || !known || typeof place !== 'number' || seen.has(id)) continue
    seen.add(id)
    cards.push({ id, map, text, column: known[0], place, color: safeColour(map.get('color')) })
  }
  return cards.sort((a, b) => a.place - b.place || (a.id < b.id ? -1 : 1))
}

/** Whether fields grow with their text by style. */
const GROWS = CSS.supports('field-sizing', 'content')

function fit (field: HTMLTextAreaElement): void {
  field.style.height = 'auto'
  field.style.height = `${field.scrollHeight}px`
}

/** What is on the screen of a card. */
interface Shown {
  element: HTMLElement
  release: () => void
}

export const open: OpenView = (host, session) => {
  const board: Y.Array<unknown> = session.doc.getArray('board')
  const undoManager = new Y.UndoManager(board, { trackedOrigins: new Set([session]), captureTimeout: 300 })
  const shown = new Map<string, Shown>()
  /** A step of its own for who takes it back, however fast one comes after the other. */
  const act = (change: () => void): void => {
    undoManager.stopCapturing()
    session.doc.transact(change, session)
  }
  const inColumn = (column: ColumnName): Card[] => cardsOf(board).filter(card => card.column === column)

  tools(host, 'Board', [[
    { label: 'Undo', face: 'undo', run: () => { undoManager.undo() } },
    { label: 'Redo', face: 'redo', run: () => { undoManager.redo() } }
  ]])
  const columns = make('div', { class: 'board' })
  host.append(columns)
  const lists = new Map<ColumnName, HTMLElement>()
  for (const [name, title] of COLUMNS) {
    const list = make('ul', { class: 'cards', 'aria-label': title })
    const add = make('button', { type: 'button', class: 'add' }, 'Add a card')
    add.addEventListener('click', () => { addCard(name) })
    const column = make('section', { class: 'column', 'data-column': name }, make('h2', {}, title, make('span', { class: 'column-count' })), list, add)
    column.addEventListener('dragover', event => { event.preventDefault() })
    column.addEventListener('drop', event => {
      event.preventDefault()
      const id = event.dataTransfer?.getData('text/plain') ?? ''
      const after = [...list.children].filter(child => {
        const { top, height } = child.getBoundingClientRect()
        return event.clientY > top + height / 2 && (child as HTMLElement).dataset['card'] !== id
      }).length
      move(id, name, after)
    })
    lists.set(name, list)
    columns.append(column)
  }

  function addCard (column: ColumnName): void {
    const id = Math.random().toString(36).slice(2, 10)
    act(() => {
      const last = inColumn(column).at(-1)?.place ?? 0
      board.push([new Y.Map<unknown>([['id', id], ['text', new Y.Text()], ['column', column], ['place', last + 1], ['color', session.me.color]])])
    })
    draw()
    shown.get(id)?.element.querySelector('textarea')?.focus()
  }

  /** Puts a card into a column, behind so many others. */
  function move (id: string, column: ColumnName, after: number): void {
    const card = cardsOf(board).find(one => one.id === id)
    if (!card) return
    const others = inColumn(column).filter(one => one.id !== id)
    const [left, right] = [others[after - 1]?.place, others[after]?.place]
    const place = left === undefined ? (right ?? 2) - 1 : right === undefined ? left + 1 : (left + right) / 2
    act(() => {
      card.map.set('column', column)
      card.map.set('place', place)
    })
    draw()
    announce(`Moved to ${COLUMNS.find(([name]) => name === column)?.[1] ?? ''}, place ${after + 1}.`)
  }

  function step (id: string, across: number, down: number): void {
    const card = cardsOf(board).find(one => one.id === id)
    if (!card) return
    const column = COLUMNS[COLUMNS.findIndex(([name]) => name === card.column) + across]?.[0]
    if (column === undefined) return
    const at = inColumn(card.column).findIndex(one => one.id === id)
    const to = across === 0 ? at + down : Math.min(at, inColumn(column).length)
    if (to < 0 || (across === 0 && to >= inColumn(column).length)) return
    const field = document.activeElement
    move(id, column, to)
    if (field instanceof HTMLElement) field.focus()
  }

  function remove (id: string): void {
    const at = [...board].findIndex(map => map instanceof Y.Map && map.get('id') === id)
    if (at < 0) return
    act(() => { board.delete(at) })
    announce('The card is gone.')
  }

  function show (card: Card): Shown {
    const { id } = card
    const field = make('textarea', { class: 'card-text', rows: '1', maxlength: '300', placeholder: 'What is it about?', 'aria-label': 'Card. Alt and arrows move it.' })
    const button = (label: string, face: string, run: () => void): HTMLElement => {
      const made = make('button', { type: 'button', class: 'card-tool', title: label, 'aria-label': label }, make('span', { class: 'icon', 'data-icon': face, 'aria-hidden': 'true' }))
      made.addEventListener('click', run)
      return made
    }
    const element = make('li', { class: 'card', 'data-card': id, draggable: 'true' }, field,
      make('div', { class: 'card-tools' },
        button('To the left', 'left', () => { step(id, -1, 0) }),
        button('To the right', 'right', () => { step(id, 1, 0) }),
        button('Remove', 'close', () => { remove(id) })),
      make('span', { class: 'card-who', 'aria-hidden': 'true' }))
    element.style.setProperty('--card', card.color)
    if (!GROWS) for (const event of ['input', 'focus']) field.addEventListener(event, () => { fit(field) })
    element.addEventListener('dragstart', event => { event.dataTransfer?.setData('text/plain', id) })
    field.addEventListener('focus', () => { session.awareness.setLocalStateField('card', id) })
    field.addEventListener('blur', () => { session.awareness.setLocalStateField('card', null) })
    field.addEventListener('keydown', event => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
      if (!event.altKey || !way) return
      event.preventDefault()
      step(id, way[0] as number, way[1] as number)
    })
    undoManager.addTrackedOrigin(field)
    const release = bind(field, card.text)
    return { element, release: () => { release(); undoManager.removeTrackedOrigin(field) } }
  }

  function draw (): void {
    const cards = cardsOf(board)
    for (const [id, { element, release }] of shown) {
      if (cards.some(card => card.id === id)) continue
      release()
      element.remove()
      shown.delete(id)
    }
    for (const [name, list] of lists) {
      const here = cards.filter(card => card.column === name)
      for (const [at, card] of here.entries()) {
        const known = shown.get(card.id) ?? show(card)
        shown.set(card.id, known)
        if (list.children[at] !== known.element) list.insertBefore(known.element, list.children[at] ?? null)
      }
      if (!GROWS) for (const field of list.querySelectorAll('textarea')) fit(field)
      say(find(list.parentElement as HTMLElement, '.column-count'), here.length > 0 ? String(here.length) : '')
    }
  }

  /** Who is at which card. */
  function drawPeople (): void {
    const at = new Map(everyone(session).filter(({ isSelf }) => !isSelf).map(one => [session.awareness.getStates().get(one.client)?.['card'] as unknown, one]))
    for (const [id, { element }] of shown) {
      const one = at.get(id)
      element.classList.toggle('is-held', one !== undefined)
      if (one) element.style.setProperty('--who', one.color)
      say(find(element, '.card-who'), one?.name ?? '')
    }
  }

  const redraw = perFrame(() => {
    draw()
    drawPeople()
  })
  const redrawPeople = perFrame(drawPeople)
  board.observeDeep(redraw)
  session.on('people', redrawPeople)
  draw()
  drawPeople()
  return {
    focus: () => { find(columns, 'textarea, .add').focus() },
    reveal: client => {
      const card = session.awareness.getStates().get(client)?.['card'] as unknown
      if (typeof card === 'string') shown.get(card)?.element.scrollIntoView({ block: 'nearest', inline: 'center', behavior: 'smooth' })
    },
    destroy: () => {
      board.unobserveDeep(redraw)
      session.off('people', redrawPeople)
      for (const { release } of shown.values()) release()
      undoManager.destroy()
    }
  }
}
