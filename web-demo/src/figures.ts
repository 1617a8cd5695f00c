// The drawer: what the line of a pane does at this moment, and switches to make it worse.

import type { Transport } from 'quire-client'
import { find, make, perFrame, say } from './dom.js'
import { FULL_SPEED, type Pace } from './line.js'
import type { Session } from './session.js'

/** How often figures are drawn besides on news, and the way to the server is measured, while somebody looks. */
const DRAW_MS = 500
const PING_MS = 3_000

const WAYS: Array<[string, Transport | undefined, string]> = [
  ['auto', undefined, 'Best that works'],
  ['websocket', 'websocket', 'WebSocket'],
  ['sse', 'sse', 'SSE'],
  ['poll', 'poll', 'Polling']
]

const PACES: Array<[string, Pace, string]> = [
  ['full', FULL_SPEED, 'Full speed'],
  ['train', { delay: 150, rate: 60_000 }, 'Train'],
  ['far', { delay: 500, rate: 8_000 }, 'Far away']
]

const middle = (numbers: number[]): number | undefined => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]
const milliseconds = (time: number | undefined): string => time === undefined ? '\u2013' : time < 10 ? `${time.toFixed(1)} ms` : `${Math.round(time)} ms`
const bytes = (number: number): string => number < 10_000 ? `${number.toLocaleString('en')} B` : number < 1e6 ? `${(number / 1000).toFixed(1)} kB` : `${(number / 1e6).toFixed(1)} MB`

/** One of a few, as radio buttons. */
function choice<T> (label: string, name: string, options: Array<[string, T, string]>, choose: (value: T) => void): HTMLElement {
  const box = make('fieldset', { class: 'choice' }, make('legend', {}, label))
  const row = make('div', { class: 'choice-row' })
  for (const [id, value, text] of options) {
    const radio = make('input', { type: 'radio', name, value: id, checked: id === options[0]?.[0] })
    radio.addEventListener('change', () => { choose(value) })
    row.append(make('label', {}, radio, make('span', {}, text)))
  }
  box.append(row)
  return box
}

export interface Figures {
  /** The drawer is open, or not any more. */
  shown: (isShown: boolean) => void
  /** Chooses a transport as if its button were pressed. */
  force: (transport: Transport | undefined) => void
}

export function showFigures (pane: HTMLElement, session: Session): Figures {
  const body = find(pane, '.side-line .side-body')
  const values = new Map<string, HTMLElement>()
  const figure = (key: string, label: string, isLarge = false): HTMLElement => {
    const value = make('dd', { class: 'figure-value', 'data-figure': key }, '\u2013')
    values.set(key, value)
    return make('div', { class: isLarge ? 'figure figure-large' : 'figure' }, make('dt', {}, label), value)
  }
  const bars = make('div', { class: 'bars', 'aria-hidden': 'true' })
  body.append(
    make('dl', { class: 'figures' },
      figure('confirmed', 'Edit to disk', true), figure('trip', 'Round trip', true)),
    bars,
    make('dl', { class: 'figures figures-small' },
      figure('unconfirmed', 'Not on disk yet'), figure('reconnects', 'Lines lost'), figure('up', 'Sent'), figure('down', 'Received')),
    choice('Way to the server', `way-${session.seat}`, WAYS, transport => { session.force(transport) }),
    choice('Speed', `pace-${session.seat}`, PACES, pace => { session.line.pace = pace }),
    make('p', { class: 'side-foot' }, 'Edit to disk is the time from a key to the server\u2019s word that its disk has synced the edit: the middle of the last forty.')
  )

  let trip: number | undefined
  const draw = (): void => {
    const { traffic } = session.line
    const texts: Record<string, string> = {
      confirmed: milliseconds(middle(session.times)),
      trip: milliseconds(session.state.is === 'on' ? trip : undefined),
      unconfirmed: String(session.unconfirmed),
      reconnects: String(session.reconnects),
      up: bytes(traffic.up),
      down: bytes(traffic.down)
    }
    for (const [key, text] of Object.entries(texts)) say(values.get(key) as HTMLElement, text)
    const most = Math.max(20, ...session.times)
    bars.replaceChildren(...session.times.map(time => {
      const bar = make('span', { class: 'bar-one' })
      bar.style.height = `${Math.max(4, time / most * 100)}%`
      return bar
    }))
  }
  const redraw = perFrame(draw)
  const measure = (): void => {
    session.ping().then(time => { trip = time }, () => { trip = undefined }).finally(draw)
  }
  let timers: Array<ReturnType<typeof setInterval>> = []
  return {
    shown (isShown) {
      for (const timer of timers) clearInterval(timer)
      timers = isShown ? [setInterval(draw, DRAW_MS), setInterval(measure, PING_MS)] : []
      session.off('state', redraw)
      if (!isShown) return
      session.on('state', redraw)
      draw()
      measure()
    },
    force (transport) {
      const [id] = WAYS.find(([, way]) => way === transport) as [string, ...unknown[]]
      find<HTMLInputElement>(body, `[name=way-${session.seat}][value=${id}]`).checked = true
      session.force(transport)
    }
  }
}
