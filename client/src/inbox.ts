// The notifications of the user, as they come within the connection: each once, in order, over reconnections.

/** Something that was posted for this user. Times are milliseconds since 1970. */
export interface Notification {
  /** Give it as `notifications` the next time, and what came until then comes then. */
  id: string
  posted: number
  expires: number
  /** The user has read it, here or elsewhere. */
  read: boolean
  /** What was posted. */
  body: unknown
}

/** What another tab, or another device, of the user has read. */
export type ReadMarks = { ids: string[] } | { up_to: string }

export interface InboxEvents {
  notification: (notification: Notification) => void
  read: (marks: ReadMarks) => void
  /** `reset`: what was last seen is not known any more; what is unread follows. */
  inbox: (state: { reset: boolean }) => void
}

export class Inbox {
  /** The id of the last event; empty for "whatever is unread". */
  #last: string
  #events: InboxEvents

  constructor (last: string, events: InboxEvents) {
    this.#last = last
    this.#events = events
  }

  get last (): string { return this.#last }

  /** Takes an event as the server has written it. */
  take (json: string): void {
    const { id, event, data } = JSON.parse(json) as { id: string | null, event: string, data: unknown }
    switch (event) {
      case 'notification':
        // For a moment two connections may both be there.
        if (id === null || isBehind(this.#last, id)) return
        this.#last = id
        this.#events.notification(data as Notification)
        break
      case 'inbox':
        this.#last = id ?? ''
        this.#events.inbox(data as { reset: boolean })
        break
      case 'read':
        this.#events.read(data as ReadMarks)
        break
    }
  }
}

/** Whether `last` is not before `id`, in the same inbox. */
function isBehind (last: string, id: string): boolean {
  const [tag, number] = last.split('.')
  const [otherTag, otherNumber] = id.split('.')
  return tag === otherTag && Number(number) >= Number(otherNumber)
}
