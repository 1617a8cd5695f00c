// A server that demands tokens, and tokens for it.

import { documentUrl } from '../../lib/client.mjs'
import { start } from '../../lib/server.mjs'
import { token } from '../../lib/token.mjs'

export const SECRET = 'a secret of at least 32 bytes for cases'

/** Seconds since 1970. */
export const now = () => Math.floor(Date.now() / 1000)

export const guarded = (t, options = {}) => start({ t, ...options, env: { QUIRE_AUTH_SECRET: SECRET, ...options.env } })

/** A token of this user with this right on every document. */
export const pass = (sub, access, claims = {}) => token(SECRET, { sub, docs: [{ prefix: '', access }], ...claims })

/** The address of a document with this token. */
export const withToken = (server, name, text) => documentUrl(server, name, { query: `?token=${text}` })

/** A request of the administrator. */
export function admin (server, method, path, body) {
  return server.fetch(path, {
    method,
    headers: { authorization: `Bearer ${pass('root', 'admin')}` },
    body: body === undefined ? undefined : JSON.stringify(body)
  })
}

/** What the server counts, for a server with keys or without. */
export const metrics = async server => (await admin(server, 'GET', '/metrics')).text()

/** What the server says a document holds at a root, as text. */
export async function text (server, name, root = 'text') {
  const response = await server.fetch(`/v1/docs/${encodeURIComponent(name)}/content?format=text&root=${root}`,
    { headers: { authorization: `Bearer ${pass('root', 'admin')}` } })
  return response.status === 404 ? '' : response.text()
}
