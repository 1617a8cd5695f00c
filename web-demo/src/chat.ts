// The chat beside the document. Its messages are part of the document, in the array `chat`.

import * as Y from 'yjs'
import { find, make, perFrame, say } from './dom.js'
import { everyone, picture, whoTypes } from './people.js'
import { safeColour, safeName } from './person.js'
import { QUIET, type Session } from './session.js'

/** So many of the newest messages are shown. */
const SHOWN = 200

/** Messages of one person within this time stand below one name. */
const TOGETHER_MS = 300_000

interface Message {
  name: string
  color: string
  text: string
  at: number
}

/** What is shown of a value of the array; other programs may write there too. */
function message (value: unknown): Message | undefined {
  const { name, color, text, at } = (value ?? {}) as Record<string, unknown>
  if (typeof text !== 'string' || text.trim() === '') return undefined
  return { name: safeName(name), color: safeColour(color), text: text.slice(0, 500), at: typeof at === 'number' && Number.isFinite(at) ? at : 0 }
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })

function line (one: Message, before: Message | undefined): HTMLElement {
  const isSame = before?.name === one.name && before.color === one.color && one.at - before.at < TOGETHER_MS
  const words = make('p', { class: 'message-text' }, one.text)
  if (isSame) return make('li', { class: 'message message-more' }, words)
  const time = Number.isNaN(new Date(one.at).valueOf()) ? '' : TIME.format(one.at)
  return make('li', { class: 'message' }, picture(one.name, one.color), make('p', { class: 'message-head' }, make('b', {}, one.name), make('time', {}, time)), words)
}

export interface Chat {
  /** The visitor sees it now, or not any more. */
  shown: (isShown: boolean) => void
}

export function showChat (pane: HTMLElement, session: Session): Chat {
  const messages: Y.Array<unknown> = session.doc.getArray('chat')
  const box = find(pane, '.messages')
  const list = find(box, 'ol')
  const input = find<HTMLInputElement>(pane, '.chat-input')
  const fresh = find(pane, '.chat-new')
  const typing = find(pane, '.chat-typing')
  let isShown = false
  let seen = 0
  let drawn: Message[] = []

  const showNew = (): void => {
    const unseen = session.state.is === 'connecting' ? 0 : Math.max(0, messages.length - seen)
    fresh.hidden = isShown || unseen === 0
    say(fresh, String(unseen))
  }
  const show = perFrame(() => {
    const now = messages.toArray().slice(-SHOWN).map(message).filter(one => one !== undefined)
    // Mostly one more at the end: what is there stays, so that a screen reader reads the new one alone.
    const isLonger = drawn.every((one, at) => one.at === now[at]?.at && one.text === now[at]?.text)
    if (!isLonger) list.replaceChildren()
    for (let at = isLonger ? drawn.length : 0; at < now.length; at++) list.append(line(now[at] as Message, now[at - 1]))
    box.classList.toggle('is-empty', now.length === 0)
    drawn = now
    box.scrollTop = box.scrollHeight
    if (isShown) seen = messages.length
    showNew()
  })
  messages.observe(show)
  show()

  input.addEventListener('input', () => { session.provider.setTyping(input.value !== '') })
  find(pane, '.chat-form').addEventListener('submit', event => {
    event.preventDefault()
    const text = input.value.trim()
    if (text === '') return
    input.value = ''
    session.doc.transact(() => { messages.push([{ name: session.me.name, color: session.me.color, text, at: Date.now() }]) }, QUIET)
    session.provider.setTyping(false)
  })
  session.on('people', perFrame(() => { say(typing, whoTypes(everyone(session))) }))
  // What was there before this visit is not new.
  session.provider.once('sync', () => {
    seen = messages.length
    showNew()
  })
  return {
    shown (now) {
      isShown = now
      if (now) seen = messages.length
      box.scrollTop = box.scrollHeight
      showNew()
    }
  }
}
