// What an application can ask of the provider.

import type { Awareness } from 'y-protocols/awareness'
import type { End } from './ends.js'
import type { Notification, ReadMarks } from './inbox.js'
import type { Environment, SocketConstructor } from './environment.js'
import type { Transport } from './links/link.js'

/** Why a credential is asked for. */
export interface CredentialRequest {
  /** The last one was not accepted, or not any more: a new one is needed. */
  refresh: boolean
}

/** Gives a credential; `null` or `undefined` for none. What it throws counts as a failed attempt, which is repeated. */
export type Credential = (request: CredentialRequest) => string | null | undefined | Promise<string | null | undefined>

export interface QuireOptions {
  /** Connect at once; default true. Otherwise with `connect()`. */
  connect?: boolean
  /** Use this awareness instead of a new one; it is not destroyed with the provider. */
  awareness?: Awareness
  /** A token, or what gives one: asked before every attempt to connect. */
  token?: string | Credential
  /** What gives a ticket that opens one connection, so that no token stands in a URL: asked before every attempt to connect. */
  ticket?: Credential
  /** Further parameters for the query of the address. */
  params?: Record<string, string>
  /** Ways to the server that may be tried; default all. */
  transports?: readonly Transport[]
  /**
   * Share what happens with other tabs of this browser that show the same document to the same person; default true. Who the
   * person is: `identity`, else the `sub` of the token, else (without token and ticket) nobody in particular. If tokens do not
   * tell, nothing is shared. Give an `identity` where a cookie says who somebody is.
   */
  tabs?: boolean
  identity?: string
  /**
   * Listen to the notifications of the user whose token it is, within the same connection. With the id of the last that was
   * seen: what came behind it, too; with `true`: what is unread.
   */
  notifications?: boolean | string
  /** For Node.js before 22: the WebSocket of the package `ws`. */
  WebSocket?: SocketConstructor
  /** For tests: parts of the world. */
  environment?: Partial<Environment>
}

export type Status = 'connecting' | 'connected' | 'disconnected'

/* eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- an interface has no index signature */
export type QuireEvents = {
  status: (event: { status: Status }) => void
  /** The document holds what the server had, or may not any more. */
  sync: (synced: boolean) => void
  /** The same as `sync`. */
  synced: (synced: boolean) => void
  /** How many changes made here are not known to be on the server's disk. */
  unconfirmed: (count: number) => void
  /** None is left. */
  confirmed: () => void
  /** How frames travel now. */
  transport: (transport: Transport) => void
  /** The server took an edit not, because this user only reads. The edit stays in the document here and nowhere else. */
  denied: (reason: string) => void
  /** The server's disk takes no edits, or takes them again. Meanwhile they reach the others, and stay unconfirmed. */
  storing: (storing: boolean) => void
  /** A connection ended; `null` if it was ended here. */
  'connection-close': (end: End | null, provider: unknown) => void
  /** An attempt to connect failed. */
  'connection-error': (end: End, provider: unknown) => void
  /** The server will not have this document, or this user; nothing more is tried until `connect()` is called. */
  closed: (end: End) => void
  /** Somebody began or ended to type. */
  typing: () => void
  /** Something was posted for this user; each comes once, in order. Needs the option `notifications`. */
  notification: (notification: Notification) => void
  /** Another tab of the user has read some. */
  read: (marks: ReadMarks) => void
  /** What is unread follows; with `reset` because what was last seen is not known any more. */
  inbox: (state: { reset: boolean }) => void
  /** Somebody in the document, or the application, tells everybody something. */
  broadcast: (text: string) => void
  /** The document was changed by the server's word. */
  update: (update: Uint8Array) => void
  /** For bindings that listen for it; the document is never replaced. */
  reload: (doc: unknown) => void
  destroy: () => void
}
