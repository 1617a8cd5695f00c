// The row of buttons above an editor.

import { find, keepFocus, make } from '../dom.js'

export interface Tool {
  /** Its name for those who see no picture. */
  label: string
  /** What stands on it: a letter or two, or a picture by its name in `shell.css`. */
  face: string
  /** Whether it holds where the cursor is; missing for what is done once. */
  isOn?: () => boolean
  run: () => void
}

/** Makes the row; one of its buttons is reached by Tab, the others by arrows. Returns how to show what is on. */
export function tools (host: HTMLElement, label: string, groups: Tool[][]): () => void {
  const bar = make('div', { class: 'tools', role: 'toolbar', 'aria-label': label })
  const shown: Array<[HTMLButtonElement, Tool]> = []
  for (const group of groups) {
    const box = make('div', { class: 'tool-group' })
    for (const tool of group) {
      const button = make('button', { type: 'button', class: 'tool', title: tool.label, 'aria-label': tool.label, tabindex: shown.length === 0 ? '0' : '-1' })
      // Letters stand on it by style: they are no part of its name.
      button.append(make('span', { class: tool.face.length > 2 ? 'tool-face is-icon' : 'tool-face', 'data-face': tool.face, 'aria-hidden': 'true' }))
      keepFocus(button)
      button.addEventListener('click', () => { tool.run() })
      shown.push([button, tool])
      box.append(button)
    }
    bar.append(box)
  }
  bar.addEventListener('keydown', event => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    const at = shown.findIndex(([button]) => button === document.activeElement)
    if (step === 0 || at < 0) return
    event.preventDefault()
    const [next] = shown[(at + step + shown.length) % shown.length] as [HTMLButtonElement, Tool]
    for (const [button] of shown) button.tabIndex = button === next ? 0 : -1
    next.focus()
  })
  host.append(bar)
  return () => {
    for (const [button, tool] of shown) if (tool.isOn) button.setAttribute('aria-pressed', String(tool.isOn()))
  }
}

/** Where the text of a view goes, below its tools. */
export function page (host: HTMLElement, name: string): HTMLElement {
  host.append(make('div', { class: `text text-${name}` }))
  return find(host, `.text-${name}`)
}
