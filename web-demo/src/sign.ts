// The sign: how the connection stands and whether everything is on the server's disk. It never says more than is known.

import { announce } from './announce.js'
import { count, find, perFrame, say } from './dom.js'
import type { Session, State } from './session.js'

const WAYS = { websocket: 'WebSocket', sse: 'SSE', poll: 'polling' } as const

interface Words {
  /** For styles and tests. */
  line: 'connecting' | 'websocket' | 'sse' | 'poll' | 'offline' | 'refused'
  said: string
  more: string
}

/** What the sign says. */
export function words (state: State, unconfirmed: number): Words {
  const waiting = count(unconfirmed, 'edit')
  switch (state.is) {
    case 'connecting':
      return { line: 'connecting', said: 'Connecting', more: unconfirmed > 0 ? `${waiting} kept here` : 'to the server' }
    case 'offline':
      return { line: 'offline', said: state.cut ? 'Line cut' : 'Offline', more: unconfirmed > 0 ? `${waiting} kept here` : 'edits are kept here' }
    case 'refused':
      return { line: 'refused', said: 'No access', more: state.reason || 'the server refuses this document' }
    case 'on': {
      const line = state.transport
      if (state.denied !== undefined) return { line, said: 'Read only', more: 'edits stay on this page' }
      if (!state.storing) return { line, said: `${waiting} not on disk`, more: 'the server cannot store at present; keep this page open' }
      if (unconfirmed > 0) return { line, said: `${waiting} not on disk yet`, more: WAYS[line] }
      return { line, said: 'All on disk', more: WAYS[line] }
    }
  }
}

/** Keeps the sign of a pane true. */
export function showSign (sign: HTMLElement, session: Session): void {
  const said = find(sign, '.sign-said')
  const more = find(sign, '.sign-more')
  let before: Words['line'] | undefined
  const show = (): void => {
    const { unconfirmed } = session
    const now = words(session.state, unconfirmed)
    sign.dataset['line'] = now.line
    sign.dataset['unconfirmed'] = String(unconfirmed)
    say(said, now.said)
    say(more, now.more)
    if (now.line === before) return
    if (now.line === 'offline') announce('Offline. Edits are kept here.')
    else if (now.line === 'refused') announce(`No access: ${now.more}.`)
    else if (now.line !== 'connecting') announce(`Connected over ${WAYS[now.line]}.`)
    before = now.line
  }
  session.on('state', perFrame(show))
  show()
}
