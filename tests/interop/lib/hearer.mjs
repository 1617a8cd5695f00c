// A process that hears a user's notifications and tells whoever started it: node hearer.mjs URL TOKEN WAY. WAY is `stream` or `poll`, or `client` and a
// transport for those of a quire-client.

import { listen } from './listen.mjs'
import { openQuire } from './quire.mjs'

const [url, token, way] = process.argv.slice(2)
const tell = (event, data) => process.send({ event, data })
const transport = /^client (.*)$/.exec(way)?.[1]
if (transport) {
  const { provider } = openQuire({ url }, 'a', { token, transports: [transport], provider: { notifications: true } })
  for (const event of ['inbox', 'notification']) provider.on(event, data => tell(event, data))
} else {
  listen({ url }, '/v1/me/events', { token, way: way === 'stream' ? 'sse' : 'poll', heard: ({ event, data }) => tell(event, data) })
}
