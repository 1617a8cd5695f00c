// Who is in the document: pictures with names, who types, where everyone is, and following one of them.

import { announce } from './announce.js'
import { find, make, perFrame, say } from './dom.js'
import { initials, safeColour, safeName } from './person.js'
import { isView, type ViewName } from './place.js'
import type { Session } from './session.js'

const SHOWN = 5

const PLACES: Record<ViewName, string> = { write: 'Write', code: 'Code', notes: 'Notes', board: 'Board' }

export interface Someone {
  client: number
  name: string
  color: string
  view: ViewName | undefined
  isTyping: boolean
  isSelf: boolean
}

/** Everyone with a name, oneself first, then by name. */
export function everyone (session: Session): Someone[] {
  const typing = new Set(session.provider.people.filter(({ isTyping }) => isTyping).flatMap(({ clients }) => clients))
  const people: Someone[] = []
  for (const [client, state] of session.awareness.getStates()) {
    const user = state['user'] as Record<string, unknown> | undefined
    if (!user) continue
    const view = state['view'] as unknown
    people.push({
      client,
      name: safeName(user['name']),
      color: safeColour(user['color']),
      view: isView(view) ? view : undefined,
      isTyping: typing.has(client),
      isSelf: client === session.client
    })
  }
  return people.sort((a, b) => Number(b.isSelf) - Number(a.isSelf) || a.name.localeCompare(b.name) || a.client - b.client)
}

/** A round picture of letters. */
export function picture (name: string, color: string): HTMLElement {
  const face = make('span', { class: 'face', 'aria-hidden': 'true' }, initials(name))
  face.style.setProperty('--who', color)
  return face
}

/** `Ada is typing`, `Ada and Bob are typing`. */
export function whoTypes (people: Someone[]): string {
  const names = people.filter(({ isTyping, isSelf }) => isTyping && !isSelf).map(({ name }) => name)
  if (names.length === 0) return ''
  if (names.length === 1) return `${names[0] as string} is typing`
  if (names.length === 2) return `${names.join(' and ')} are typing`
  return `${names.length} people are typing`
}

export interface PeopleEvents {
  /** Somebody's picture was pressed. */
  follow: (client: number) => void
}

/** Keeps the row of people of a pane. `followed` tells who is followed. */
export function showPeople (pane: HTMLElement, session: Session, followed: () => number | undefined, events: PeopleEvents): () => void {
  const list = find(pane, '.people')
  const typing = find(pane, '.typing')
  const show = perFrame(() => {
    const people = everyone(session).filter(({ isSelf }) => !isSelf)
    const focused = (document.activeElement as HTMLElement | null)?.dataset['client']
    list.replaceChildren(...people.slice(0, SHOWN).map(one => make('li', {}, badge(one, followed() === one.client, events))))
    if (people.length > SHOWN) list.append(make('li', {}, make('span', { class: 'face face-more' }, `+${people.length - SHOWN}`)))
    if (focused !== undefined) list.querySelector<HTMLElement>(`[data-client="${focused}"]`)?.focus()
    say(typing, whoTypes(people))
    say(find(pane, '.alone'), people.length === 0 ? 'Only you are here' : '')
  })
  session.on('people', show)
  session.on('state', show)
  show()
  return show
}

function badge ({ client, name, color, view, isTyping }: Someone, isFollowed: boolean, { follow }: PeopleEvents): HTMLElement {
  const where = view ? `, in ${PLACES[view]}` : ''
  const button = make('button', {
    type: 'button',
    class: 'who',
    'data-client': String(client),
    'data-name': name,
    'data-typing': isTyping,
    'aria-pressed': String(isFollowed),
    'aria-label': `${isFollowed ? 'Stop following' : 'Follow'} ${name}${where}`,
    title: `${name}${where}: press to ${isFollowed ? 'stop following' : 'follow'}`
  }, picture(name, color))
  button.addEventListener('click', () => { follow(client) })
  return button
}

/** Everyone is heard of again within this time after a connection is back. */
const GATHERED_MS = 2_000

/** Tells who came and went, but not that everyone did because we did. */
export function announcePeople (session: Session, isOurs: (client: number) => boolean): void {
  let known: Map<number, string> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let isGathered = false
  const compare = (): void => {
    if (!isGathered) return
    const now = new Map(everyone(session).filter(({ client }) => !isOurs(client)).map(({ client, name }) => [client, name]))
    for (const [client, name] of now) if (known && !known.has(client)) announce(`${name} is here.`)
    for (const [client, name] of known ?? []) if (!now.has(client)) announce(`${name} has left.`)
    known = now
  }
  session.on('people', compare)
  session.on('state', () => {
    if (session.state.is !== 'on') {
      clearTimeout(timer)
      timer = undefined
      isGathered = false
      return
    }
    timer ??= setTimeout(() => {
      isGathered = true
      compare()
    }, GATHERED_MS)
  })
}
