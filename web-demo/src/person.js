// Who this visitor is to the others: a name and a colour, kept for this browser.

const ANIMALS = ['Badger', 'Crane', 'Dormouse', 'Finch', 'Hare', 'Heron', 'Ibex', 'Lynx', 'Marten', 'Newt', 'Otter',
  'Owl', 'Plover', 'Seal', 'Stoat', 'Swift', 'Tern', 'Vole', 'Wren']
// Dark enough for white letters on them, far enough apart to be told from each other.
const COLOURS = ['#b4451f', '#8a5a00', '#5b7c14', '#1f7a4d', '#0b7285', '#1b66b3', '#5b4fc4', '#8b3fb0', '#b02a74', '#a3333d']
const KEY = 'quire-person'

const any = list => list[Math.floor(Math.random() * list.length)]

const stored = () => {
  try {
    return JSON.parse(window.localStorage.getItem(KEY)) ?? {}
  } catch {
    return {}
  }
}

const store = person => {
  try {
    window.localStorage.setItem(KEY, JSON.stringify({ name: person.name }))
  } catch {
    // Without storage the name lasts as long as the page.
  }
}

export const recolour = (person, color) => ({ ...person, color, colorLight: `${color}40` })

// The colour is drawn anew for each window, so that two windows of one browser can be told apart.
export const person = () => {
  const { name } = stored()
  const fresh = recolour({ name: typeof name === 'string' && name !== '' ? name : any(ANIMALS) }, any(COLOURS))
  store(fresh)
  return fresh
}

// Our own colour, or another one if somebody has it already. Of two people with one colour the one with the larger number
// moves, so that they do not move together.
export const freeColour = awareness => {
  const mine = awareness.getLocalState().user.color
  const others = [...awareness.getStates()].filter(([id]) => id !== awareness.clientID)
  if (!others.some(([id, { user }]) => id < awareness.clientID && user?.color === mine)) return mine
  const free = COLOURS.filter(colour => !others.some(([, { user }]) => user?.color === colour))
  return free.length > 0 ? any(free) : mine
}

export const rename = (person, name) => {
  const renamed = { ...person, name: name.trim() || person.name }
  store(renamed)
  return renamed
}
