// The page that the server brings along, in a real browser.

import { waitFor } from './wait.mjs'

/** What is edited in each view, and how to find its lines without the cursors of others. */
const VIEWS = {
  write: { editor: '.ProseMirror', line: '.ProseMirror > *', cursor: '.caret-name' },
  code: { editor: '.cm-content', line: '.cm-line', cursor: '.caret-name' },
  notes: { editor: '.ql-editor', line: '.ql-editor > *', cursor: '.ql-cursor:not(.hidden) .ql-cursor-name' }
}

/** The same in pages of stock editors. */
const STOCK = {
  tiptap: { ...VIEWS.write, cursor: '.collaboration-carets__label' },
  codemirror: { ...VIEWS.code, cursor: '.cm-ySelectionInfo' },
  quill: VIEWS.notes
}

const CURSORS = '.caret, .collaboration-carets__caret, .cm-ySelectionCaret, .cm-widgetBuffer, .cm-placeholder, .ProseMirror-separator, .ProseMirror-trailingBreak, .ql-ui'

/** Waits until what is asked for is as expected. */
export async function waitSame (expected, ask, deadline, label) {
  let found
  await waitFor(async () => {
    found = await ask()
    return JSON.stringify(found) === JSON.stringify(expected)
  }, deadline, () => `${label} ${JSON.stringify(expected)}, not ${JSON.stringify(found)}`)
}

/** A page with an editor: ours or a stock one. */
class EditorPage {
  constructor (page, parts) {
    this.page = page
    this.parts = parts
  }

  get keyboard () { return this.page.keyboard }

  /** The lines of the text as they are shown. */
  lines () {
    return this.page.locator(this.parts.line).evaluateAll((lines, cursors) => lines.map(line => {
      const copy = line.cloneNode(true)
      for (const cursor of copy.querySelectorAll(cursors)) cursor.remove()
      return copy.textContent.replaceAll('\u2060', '')
    }), CURSORS)
  }

  waitLines (expected, deadline = 10_000) {
    return waitSame(expected, () => this.lines(), deadline, 'the lines')
  }

  /** The names at the cursors that are seen of others. */
  async cursors () { return (await this.page.locator(this.parts.cursor).evaluateAll(all => all.map(element => element.dataset.name ?? element.textContent))).sort() }
  waitCursor (name) { return waitFor(async () => (await this.cursors()).includes(name), 5_000, `the cursor of ${name}`) }

  /** Puts the cursor at the end of a line, by mouse. */
  async clickLine (number) {
    await this.page.locator(this.parts.line).nth(number).click()
    await this.keyboard.press('End')
  }
}

export class DemoPage extends EditorPage {
  /** Its sign, of one of its panes: `line`, `unconfirmed`, and the words on it. */
  sign (pane = 0) {
    return this.page.locator('.sign').nth(pane).evaluate(sign => ({
      line: sign.dataset.line,
      unconfirmed: Number(sign.dataset.unconfirmed),
      said: sign.querySelector('.sign-said').textContent,
      more: sign.querySelector('.sign-more').textContent
    }))
  }

  async waitSign (expected, deadline = 15_000, pane = 0) {
    let found
    await waitFor(async () => {
      found = await this.sign(pane)
      return Object.entries(expected).every(([key, value]) => value instanceof RegExp ? value.test(found[key]) : found[key] === value)
    }, deadline, () => `the sign ${Object.entries(expected).map(([key, value]) => `${key} ${value}`)}, not ${JSON.stringify(found)}`)
    return found
  }

  /** On a busy machine a WebSocket may be later than a second, so that SSE is first: any way will do unless one is asked for. */
  waitSaved (line = /^(websocket|sse|poll)$/, pane = 0) { return this.waitSign({ line, unconfirmed: 0, said: 'All on disk' }, 15_000, pane) }

  /** Names of the others whose pictures are shown. */
  async people (pane = 0) { return (await this.page.locator('.people').nth(pane).locator('[data-name]').evaluateAll(all => all.map(one => one.dataset.name))).sort() }
  waitPeople (names, deadline = 5_000, pane = 0) {
    return waitSame(names, () => this.people(pane), deadline, 'people on the page')
  }

  async turn (view, pane = 0) {
    await this.page.locator('.pane').nth(pane).locator(`.tab[data-view=${view}]`).click()
    this.parts = VIEWS[view]
  }

  /** What the document of a pane holds, as text that can be compared. */
  content (pane = 0) {
    return this.page.evaluate(pane => {
      const { doc } = window.quire.panes[pane]
      return JSON.stringify([doc.getXmlFragment('default').toString(), doc.getText('source').toString(), doc.getText('quill').toDelta(), doc.getArray('board').toJSON(), doc.getArray('chat').toJSON()])
    }, pane)
  }
}

/** Opens the page of a server, or of what stands before one, as a person of that name, in a browser profile of its own. */
export async function openDemo (browser, server, { doc, view = 'write', name, color = '#1b66b3', saved = true, cookies = [], ...context }) {
  const profile = await browser.newContext(context)
  await profile.addCookies(cookies)
  await profile.addInitScript(person => { window.localStorage.setItem('quire-person-1', person) }, JSON.stringify({ name, color }))
  const page = await profile.newPage()
  page.troubles = []
  page.on('pageerror', error => page.troubles.push(`error: ${error.message}`))
  page.on('console', message => {
    if (!['error', 'warning'].includes(message.type()) || /WebSocket connection to|net::ERR_|Failed to load resource/.test(message.text())) return // lines while the server is down
    page.troubles.push(`${message.type()}: ${message.text()}`)
  })
  await page.goto(`${server.url}/?${new URLSearchParams({ doc, view })}`)
  const demo = new DemoPage(page, VIEWS[view])
  if (saved) await demo.waitSaved()
  if (demo.parts) await page.locator(demo.parts.editor).waitFor()
  return demo
}

/** A page of a stock editor with its stock provider, for an address of `serveEditors`. */
export async function openStock (browser, address, editor) {
  const page = await (await browser.newContext()).newPage()
  await page.goto(address)
  await waitFor(async () => await page.locator('#status').textContent() === 'synced', 15_000, `the first sync of the stock ${editor}`)
  return new EditorPage(page, STOCK[editor])
}
