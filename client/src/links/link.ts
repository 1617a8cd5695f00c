// What all ways to the server have in common: frames go both ways, in order, until an end.

import type { End } from '../ends.js'

/** How frames travel, best first. */
export const TRANSPORTS = ['websocket', 'sse', 'poll'] as const

/** `websocket`; `sse`: events down, requests up; `poll`: requests that wait for an answer. */
export type Transport = typeof TRANSPORTS[number]

/** How soon a frame is to go out. */
export type Urgency =
  /** An edit, an answer, a question: in order, and none is left out. */
  | 'edit'
  /** Presence: only the newest matters. */
  | 'presence'
  /** Presence that says nothing new, only that it still holds. */
  | 'renewal'

export interface Link {
  readonly transport: Transport
  send: (frame: Uint8Array, urgency: Urgency) => void
  /** Ends it in good order. None of its events comes after. */
  close: () => void
}

/** What a link says. */
export interface LinkEvents {
  /** It works both ways. Comes once, before the first frame. */
  open: () => void
  frame: (frame: Uint8Array) => void
  /** Something came: the line is alive. */
  heard: () => void
  /** It goes on by another way. */
  moved: (transport: Transport) => void
  /** It ended, or never began. Nothing follows. */
  ended: (end: End) => void
}

/** What a link needs to begin. */
export interface Opening {
  events: LinkEvents
  /** The first frames from here. */
  frames: () => Uint8Array[]
}
