// A chat in a terminal, with everything in it that the server gives: messages are part of the document, so they are there for
// who comes later and offline; presence and typing come of awareness; a message that mentions somebody (@ada) may
// be followed by a notification from the application, which reaches ada also when she is away.
//
//   node chat.mjs SERVER ROOM NAME [TOKEN]        lines that are typed are sent, /who lists who is here, /quit leaves
//
// With a token (quire token make --user ada --grant write:room) who somebody is comes from there, and notifications are shown.

import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { QuireProvider } from 'quire-client'
import * as Y from 'yjs'

const [server, room, name, token] = process.argv.slice(2)
if (name === undefined) {
  console.error('usage: node chat.mjs SERVER ROOM NAME [TOKEN]')
  process.exit(2)
}

const doc = new Y.Doc()
const messages = doc.getArray('messages')
const provider = new QuireProvider(server, room, doc, token === undefined ? {} : { token, notifications: true })
provider.setUser({ name, ...(token === undefined ? { id: name } : {}) })

let shown = 0
messages.observe(() => {
  for (const { from, text } of messages.slice(shown)) console.log(`${from}: ${text}`)
  shown = messages.length
})

const others = () => provider.people.filter(({ isSelf }) => !isSelf).map(({ user }) => user.name).sort()
let here = ''
provider.awareness.on('change', () => {
  const now = others().join(', ')
  if (now !== here) console.log(`* here: ${now || 'nobody else'}`)
  here = now
})

let typing = ''
provider.on('typing', () => {
  const now = provider.people.filter(({ isTyping, isSelf }) => isTyping && !isSelf).map(({ user }) => user.name).join(', ')
  if (now !== typing) console.log(now ? `* ${now} is typing` : '* nobody is typing')
  typing = now
})
provider.on('notification', ({ body }) => { console.log(`* notification: ${typeof body === 'string' ? body : JSON.stringify(body)}`) })
provider.on('closed', ({ code, reason }) => { console.log(`* the server says ${code}: ${reason}`) })

// In a terminal every key is a sign of life.
process.stdin.on('data', () => provider.setTyping())
const input = createInterface({ input: process.stdin, terminal: process.stdin.isTTY })
input.on('line', async line => {
  if (line === '/who') return console.log(`* here: ${[name, ...others()].join(', ')}`)
  if (line === '/quit') return input.close()
  if (line === '/typing') return
  provider.setTyping(false)
  messages.push([{ from: name, text: line, at: Date.now() }])
  await provider.whenConfirmed()
})
input.on('close', leave)

/** The process ends by itself, when what is on its way has gone out. */
async function leave () {
  await Promise.race([provider.whenConfirmed(), setTimeout(2_000, undefined, { ref: false })])
  provider.destroy()
  process.stdin.destroy()
}
