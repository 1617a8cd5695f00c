// Where a document is found. Names are encoded here, once, so that every name is one segment of the path.

/** The addresses of one document on one server. */
export interface Address {
  /** The server, without a slash at the end: what its addresses have in common. */
  server: string
  socket: string
  sessions: string
  session: (id: string) => string
}

const MAX_BYTES = 255

/**
 * @param server `https://host`, `wss://host`, with a path if a proxy puts the server below one
 * @param base what a relative `server` is resolved against; the page, in a browser
 * @throws TypeError if the name is none, or cannot stand in a URL
 */
export function address (server: string | URL, name: string, base?: string): Address {
  const url = base === undefined ? new URL(server) : new URL(server, base)
  const secure = url.protocol === 'https:' || url.protocol === 'wss:'
  if (!secure && url.protocol !== 'http:' && url.protocol !== 'ws:') {
    throw new TypeError(`the address of the server begins with http, https, ws or wss, not with ${url.protocol}`)
  }
  const path = url.pathname.replace(/\/+$/, '')
  const http = `${secure ? 'https' : 'http'}://${url.host}${path}`
  const doc = encodeName(name)
  return {
    server: http,
    socket: `${secure ? 'wss' : 'ws'}://${url.host}${path}/ws/${doc}`,
    sessions: `${http}/v1/docs/${doc}/sessions`,
    session: id => `${http}/v1/sessions/${encodeURIComponent(id)}`
  }
}

/** The name as it stands in a URL. */
export function encodeName (name: string): string {
  const bytes = new TextEncoder().encode(name).length
  if (bytes === 0 || bytes > MAX_BYTES) throw new TypeError(`the name of a document has 1 to ${MAX_BYTES} bytes, not ${bytes}`)
  if (/\p{Cc}/u.test(name)) throw new TypeError('the name of a document has no control characters')
  if (name === '.' || name === '..') throw new TypeError(`URLs cannot hold a document named ${JSON.stringify(name)}`)
  try {
    return encodeURIComponent(name)
  } catch {
    throw new TypeError('the name of a document is valid Unicode, without half a surrogate pair')
  }
}

/** Adds parameters to an address. */
export function withParams (url: string, params: Record<string, string>): string {
  const query = new URLSearchParams(params).toString()
  return query === '' ? url : `${url}?${query}`
}
