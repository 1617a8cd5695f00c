// Frames over a WebSocket, one a message.

import type { Environment, SocketConstructor } from '../environment.js'
import { GONE } from '../ends.js'
import type { Link, Opening } from './link.js'

/**
 * Tells the server that confirmations are asked for by version. It need not know the name: it takes the first that is offered.
 */
const PROTOCOLS = ['quire-client']

export function openWebSocket (url: string, environment: Environment, { events, frames }: Opening): Link {
  const Socket = environment.WebSocket as SocketConstructor
  const socket = new Socket(url, PROTOCOLS)
  socket.binaryType = 'arraybuffer'
  let state: 'opening' | 'open' | 'ended' = 'opening'
  // A proxy may let the handshake through and nothing else: only what the server says is proof.
  socket.onopen = () => { for (const frame of frames()) socket.send(frame as Uint8Array<ArrayBuffer>) }
  socket.onmessage = ({ data }: MessageEvent) => {
    if (state === 'ended') return
    if (state === 'opening') {
      state = 'open'
      events.open()
    }
    events.heard()
    if (data instanceof ArrayBuffer) events.frame(new Uint8Array(data))
  }
  socket.onclose = ({ code, reason }: CloseEvent) => {
    if (state === 'ended') return
    state = 'ended'
    // 1005: it closed without a word.
    events.ended({ code: code === 1005 ? GONE : code, reason })
  }
  // An error is followed by a close, which says more.
  socket.onerror = () => {}
  return {
    transport: 'websocket',
    send (frame) { if (state === 'open') socket.send(frame as Uint8Array<ArrayBuffer>) },
    close () {
      state = 'ended'
      socket.close()
    }
  }
}
