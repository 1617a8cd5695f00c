// What a screen reader is told: politely, one sentence at a time, and not each time something flickers.

import { find, say } from './dom.js'

/** What happens within this time is told together. */
const GATHER_MS = 900

let waiting: string[] = []
let timer: ReturnType<typeof setTimeout> | undefined

export function announce (sentence: string): void {
  if (!waiting.includes(sentence)) waiting.push(sentence)
  timer ??= setTimeout(() => {
    timer = undefined
    say(find(document, '#announcer'), waiting.join(' '))
    waiting = []
  }, GATHER_MS)
}
