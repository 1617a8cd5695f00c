// The row of people in the document.

const SHOWN = 6

const initials = name => {
  const words = name.trim().split(/\s+/).slice(0, 2)
  return words.map(word => [...word][0] ?? '').join('').toUpperCase() || '?'
}

// Only plain hex colours reach a style: presence comes from other people's programs.
const safeColour = colour => /^#[0-9a-f]{6}$/i.test(colour) ? colour : '#666c75'

const badge = (label, title, colour) => {
  const item = document.createElement('li')
  item.textContent = label
  item.title = title
  item.style.backgroundColor = colour
  return item
}

// Shows them and says how many there are.
export const showPeople = (list, awareness) => {
  const people = [...awareness.getStates()]
    .filter(([, state]) => state.user)
    .map(([id, { user }]) => ({ name: String(user.name ?? 'Somebody'), color: String(user.color), mine: id === awareness.clientID }))
    .sort((a, b) => Number(b.mine) - Number(a.mine) || a.name.localeCompare(b.name))
  const badges = people.slice(0, SHOWN).map(person =>
    badge(initials(person.name), person.mine ? `${person.name} (you)` : person.name, safeColour(person.color)))
  if (people.length > SHOWN) {
    badges.push(badge(`+${people.length - SHOWN}`, `${people.length} people`, '#666c75'))
  }
  list.replaceChildren(...badges)
  return people.length
}
