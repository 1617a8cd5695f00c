// A link that begins when its credentials are there.

import { GONE } from '../ends.js'
import type { Link, LinkEvents, Transport } from './link.js'

/** Makes a link of what `ready` gives. If it gives none, or none can be made, the link has ended. */
export function deferred<T> (transport: Transport, events: LinkEvents, ready: Promise<T>, make: (given: T) => Link): Link {
  let link: Link | undefined
  let closed = false
  ready.then(given => {
    if (!closed) link = make(given)
  }).catch((error: unknown) => {
    if (!closed) events.ended({ code: GONE, reason: `the connection cannot be opened: ${String(error)}` })
  })
  return {
    get transport () { return link?.transport ?? transport },
    send (frame, urgency) { link?.send(frame, urgency) },
    close () {
      closed = true
      link?.close()
    }
  }
}
