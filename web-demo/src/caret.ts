// The cursor of somebody else in a text, with the name on it.

import { make } from './dom.js'
import { safeColour, safeName } from './person.js'

export function caret (user: Record<string, unknown>, client: number): HTMLElement {
  const element = make('span', { class: 'caret', 'data-client': String(client), 'aria-hidden': 'true' },
    make('span', { class: 'caret-name', 'data-name': safeName(user['name']) }))
  element.style.setProperty('--who', safeColour(user['color']))
  return element
}
