// The document's name stands in the address: /?doc=NAME or /#NAME.

const FIRST = 'welcome'

export const documentOf = location => {
  const fromQuery = new URLSearchParams(location.search).get('doc')
  let fromHash = location.hash.slice(1)
  try {
    fromHash = decodeURIComponent(fromHash)
  } catch {
    // A fragment that was typed by hand need not be well-formed; then it is taken as it stands.
  }
  return fromHash || fromQuery || FIRST
}

export const linkTo = name => `./#${encodeURIComponent(name)}`
