// Where the page is: the document and the view stand in the address, so that it can be shared.

const FIRST = 'welcome'

export const VIEWS = ['write', 'code', 'notes', 'board'] as const
export type ViewName = typeof VIEWS[number]

export const isView = (name: unknown): name is ViewName => VIEWS.includes(name as ViewName)

/** The document of an address: `/?doc=NAME`, or `/#NAME` as earlier versions had it. */
export function documentOf ({ search, hash }: Pick<Location, 'search' | 'hash'>): string {
  const named = new URLSearchParams(search).get('doc')
  if (named) return named
  try {
    return decodeURIComponent(hash.slice(1)) || FIRST
  } catch {
    // A fragment that was typed by hand need not be well-formed; then it is taken as it stands.
    return hash.slice(1)
  }
}

export function viewOf ({ search }: Pick<Location, 'search'>): ViewName {
  const view = new URLSearchParams(search).get('view')
  return isView(view) ? view : 'write'
}

/** The address of a document in a view, relative to the page. */
export function linkTo (name: string, view: ViewName): string {
  const query = new URLSearchParams({ doc: name })
  if (view !== 'write') query.set('view', view)
  return `./?${query}`
}
