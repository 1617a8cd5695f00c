// A process with one client in a document: node typist.mjs URL DOCUMENT TOKEN. Types when it is told to.

import { openQuire } from './quire.mjs'

const [url, name, token] = process.argv.slice(2)
const client = openQuire({ url }, name, { token })
process.on('message', () => {
  client.provider.setTyping()
  // When it has gone to the system it is on its way, whatever becomes of this process.
  setTimeout(() => process.send('typed'), 50)
})
