// Who a visitor is to the others: a name and a colour, kept for this browser.

import type { Awareness } from 'y-protocols/awareness'
import { recall, remember } from './memory.js'

export interface Person {
  name: string
  color: string
  /** For selections: the colour, nearly transparent. */
  colorLight: string
}

const ANIMALS = ['Badger', 'Crane', 'Dormouse', 'Finch', 'Hare', 'Heron', 'Ibex', 'Lynx', 'Marten', 'Newt', 'Otter', 'Owl', 'Plover',
  'Seal', 'Stoat', 'Swift', 'Tern', 'Vole', 'Wren']

/** Dark enough for white letters on them, far enough apart to be told from each other. */
export const COLOURS = ['#b4451f', '#8a5a00', '#567512', '#1f7a4d', '#0b7285', '#1b66b3', '#5b4fc4', '#8b3fb0', '#b02a74', '#a3333d']

const NOBODY = '#666c75'

const any = (list: readonly string[]): string => list[Math.floor(Math.random() * list.length)] as string

const whole = (name: string, color: string): Person => ({ name, color, colorLight: `${color}33` })

/** Only plain hex colours reach a style: presence comes from other people's programs. */
export const safeColour = (colour: unknown): string => typeof colour === 'string' && /^#[0-9a-f]{6}$/i.test(colour) ? colour : NOBODY

export const safeName = (name: unknown): string => typeof name === 'string' && name.trim() !== '' ? name.trim().slice(0, 40) : 'Somebody'

/** One or two letters for a picture. */
export function initials (name: string): string {
  const words = name.trim().split(/\s+/).slice(0, 2)
  return words.map(word => [...word][0] ?? '').join('').toUpperCase() || '?'
}

/** The person of a seat: 1 for the first pane, 2 for the second. */
export function person (seat: number): Person {
  const kept = recall(`person-${seat}`) as Partial<Person> | null
  const name = typeof kept?.name === 'string' && kept.name !== '' ? safeName(kept.name) : any(ANIMALS)
  const color = COLOURS.includes(kept?.color ?? '') ? kept?.color as string : any(COLOURS)
  return changed(seat, whole(name, color))
}

/** The same with another name or colour, remembered. */
export function changed (seat: number, { name, color }: Pick<Person, 'name' | 'color'>): Person {
  remember(`person-${seat}`, { name, color })
  return whole(name, color)
}

/**
 * The person in a colour of its own, if somebody has this one already. Of two in one colour the one with the larger number
 * moves, so that they do not move together. It is not remembered.
 */
export function distinct (me: Person, awareness: Awareness): Person {
  const others = [...awareness.getStates()].filter(([client]) => client !== awareness.clientID)
  const colour = (state: Record<string, unknown>): unknown => (state['user'] as Partial<Person> | undefined)?.color
  if (!others.some(([client, state]) => client < awareness.clientID && colour(state) === me.color)) return me
  const free = COLOURS.filter(one => !others.some(([, state]) => colour(state) === one))
  return free.length > 0 ? whole(me.name, any(free)) : me
}
