// Stock clients of the other dialects, which all show a token and have the same way of telling that everything is saved.

import { openHocuspocus } from '../../lib/hocuspocus.mjs'
import { openYSweet } from '../../lib/ysweet.mjs'

/** What y-sweet's backend would give its client. */
function clientToken (server, name, token) {
  const path = `d/${encodeURIComponent(name)}`
  return { url: `${server.wsUrl}/${path}/ws`, baseUrl: `${server.url}/${path}`, docId: name, token, authorization: 'full' }
}

/** `open(server, name, { token, ... })`: `token` is a text or a function that gives one. */
export const dialects = [
  ...[4, 3, 2].map(version => ({
    name: `Hocuspocus ${version}`,
    open: (server, name, { token, ...options } = {}) => openHocuspocus(server, name, { version, token, ...options })
  })),
  {
    name: 'y-sweet',
    open: (server, name, { token, ...options } = {}) =>
      openYSweet(server, name, { token: async () => clientToken(server, name, typeof token === 'function' ? token() : token), ...options })
  }
]
