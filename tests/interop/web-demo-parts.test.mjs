// The page of the server besides its editors: board, chat, people, two panes, figures, and whom it must not shut out.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cannotTrace, inject } from './crash/trace.mjs'
import { launch } from './lib/browser.mjs'
import { serverCopy, waitFor } from './lib/client.mjs'
import { openDemo, waitSame } from './lib/demo.mjs'
import { start } from './lib/server.mjs'
import { token } from './lib/token.mjs'

/** The texts of the cards in each column. */
const board = page => page.page.locator('.column').evaluateAll(columns => columns.map(column => [...column.querySelectorAll('textarea')].map(field => field.value)))
const waitBoard = (page, expected) => waitSame(expected, () => board(page), 5_000, 'the board')
const text = (page, selector) => page.page.locator(selector).first().textContent()

test('board: two people write, move and take back cards, by mouse and by keyboard', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const browser = await launch(t)
  const ann = await openDemo(browser, server, { doc: 'plan', view: 'board', name: 'Ann' })
  const bob = await openDemo(browser, server, { doc: 'plan', view: 'board', name: 'Bob', color: '#b4451f' })
  const card = (page, number) => page.page.locator('.card').nth(number)
  const add = async (page, column, words) => {
    await page.page.locator(`.column[data-column=${column}] .add`).click()
    await page.keyboard.type(words)
  }
  await Promise.all([add(ann, 'ideas', 'of Ann \u{1F600}'), add(bob, 'doing', 'of Bob')])
  for (const page of [ann, bob]) await waitBoard(page, [['of Ann \u{1F600}'], ['of Bob'], []])
  // Each sees at which card the other is.
  await waitFor(async () => await text(bob, '.card.is-held .card-who') === 'Ann', 5_000, 'Ann at her card')
  await waitFor(async () => await text(ann, '.card.is-held .card-who') === 'Bob', 5_000, 'Bob at his card')

  // Both write in one card at once.
  await card(bob, 0).locator('textarea').click()
  await bob.keyboard.press('End')
  await ann.keyboard.press('Home')
  await Promise.all([ann.keyboard.type('>> '), bob.keyboard.type(' <<')])
  for (const page of [ann, bob]) await waitBoard(page, [['>> of Ann \u{1F600} <<'], ['of Bob'], []])

  // By keyboard, and the cursor stays in the card.
  await ann.keyboard.press('Alt+ArrowRight')
  for (const page of [ann, bob]) await waitBoard(page, [[], ['>> of Ann \u{1F600} <<', 'of Bob'], []])
  await ann.keyboard.press('Alt+ArrowDown')
  for (const page of [ann, bob]) await waitBoard(page, [[], ['of Bob', '>> of Ann \u{1F600} <<'], []])
  assert.equal(await ann.page.evaluate(() => document.activeElement.value), '>> of Ann \u{1F600} <<')
  // By mouse: by its edge to another column, and by a button.
  const { height } = await card(bob, 0).boundingBox()
  await card(bob, 0).dragTo(bob.page.locator('.column[data-column=done]'), { sourcePosition: { x: 14, y: height - 10 } })
  for (const page of [ann, bob]) await waitBoard(page, [[], ['>> of Ann \u{1F600} <<'], ['of Bob']])
  await card(bob, 0).locator('.card-tool[aria-label="To the left"]').click()
  for (const page of [ann, bob]) await waitBoard(page, [['>> of Ann \u{1F600} <<'], [], ['of Bob']])

  // Moved by both at once it is still one card.
  await ann.page.locator('.cut').click()
  await ann.waitSign({ line: 'offline' })
  const before = (await board(ann)).flat().length
  for (const [page, column] of [[ann, 'doing'], [bob, 'done']]) {
    await card(page, 0).locator('textarea').focus()
    await page.keyboard.press('Alt+ArrowRight')
    if (column === 'done') await page.keyboard.press('Alt+ArrowRight')
    await page.page.locator(`.column[data-column=${column}] .card`).first().waitFor()
  }
  await ann.page.locator('.cut').click()
  for (const page of [ann, bob]) await page.waitSaved()
  await waitSame(await ann.content(), () => bob.content(), 5_000, 'equal documents')
  assert.equal((await board(ann)).flat().length, before)
  await waitBoard(bob, await board(ann))

  const held = await board(ann)
  await card(ann, 0).locator('[aria-label=Remove]').click()
  await waitFor(async () => (await board(bob)).flat().length === before - 1, 5_000, 'the card gone')
  await ann.page.locator('.tool[aria-label=Undo]').click()
  for (const page of [ann, bob]) await waitBoard(page, held)
  await ann.waitSaved()
  assert.equal((await serverCopy(server, 'plan')).getArray('board').length, before)
  assert.deepEqual([...ann.page.troubles, ...bob.page.troubles], [])
})

test('people: who is here, who types and what they say; one follows another', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const browser = await launch(t)
  const ann = await openDemo(browser, server, { doc: 'talk', name: 'Ann' })
  const said = word => waitFor(async () => (await text(ann, '#announcer')).includes(word), 8_000, `the announcement: ${word}`)
  await said('Connected over')
  await ann.page.waitForTimeout(2_200) // who was here before is not announced
  const bob = await openDemo(browser, server, { doc: 'talk', name: 'Bob', color: '#b4451f', viewport: { width: 390, height: 844 } })
  await said('Bob is here.')
  assert.equal(await ann.page.locator('#announcer').getAttribute('aria-live'), 'polite')

  await bob.page.locator('.ProseMirror').click()
  await bob.keyboard.type('x')
  await waitFor(async () => await text(ann, '.typing') === 'Bob is typing', 5_000, 'Bob typing')
  await waitFor(async () => await text(ann, '.typing') === '', 6_000, 'the end of it')
  await ann.page.locator('.chat-input').fill('Hello \u{1F600}')
  await waitFor(async () => await bob.page.locator('[data-typing]').count() === 1, 5_000, 'Ann typing a message')
  await ann.keyboard.press('Enter')
  await waitFor(async () => await text(bob, '.chat-new') === '1', 5_000, 'one message that Bob has not seen')
  await bob.page.locator('.chat-toggle').click()
  await waitFor(async () => await text(bob, '.message-text') === 'Hello \u{1F600}', 5_000, 'the message')
  assert.equal(await text(bob, '.message-head b'), 'Ann')
  assert.ok(await bob.page.locator('.chat-new').isHidden())
  await bob.page.locator('.side-chat .side-close').click()

  // A name is changed, and remembered.
  await bob.page.locator('.me summary').click()
  await bob.page.locator('.me-input').fill('Bert')
  await bob.keyboard.press('Enter')
  await ann.waitPeople(['Bert'])
  assert.equal(JSON.parse(await bob.page.evaluate(() => window.localStorage.getItem('quire-person-1'))).name, 'Bert')

  // Ann follows him to another view, and down a long text.
  await ann.page.locator('.who[data-name=Bert]').click()
  await bob.turn('code')
  await ann.page.locator('.cm-content').waitFor()
  await bob.page.locator('.cm-content').waitFor()
  await bob.page.locator('.cm-content').click()
  await bob.keyboard.insertText(Array.from({ length: 120 }, (_, i) => `line ${i}`).join('\n'))
  await bob.keyboard.press('Control+End')
  const inSight = () => waitFor(() => ann.page.locator('.caret, .ql-cursor-caret').evaluate(caret => {
    const { top } = caret.getBoundingClientRect()
    const view = document.querySelector('.text').getBoundingClientRect()
    return top > view.top && top < view.bottom
  }), 5_000, 'the cursor of Bert in sight of Ann')
  await inSight()
  assert.match(new URL(ann.page.url()).search, /view=code/)
  await bob.turn('notes')
  await bob.page.locator('.ql-editor').click()
  await bob.keyboard.type('\n'.repeat(30))
  ann.parts = bob.parts
  await ann.waitLines(Array.from({ length: 31 }, () => ''))
  await inSight()
  await ann.page.locator('.who').focus()
  await ann.keyboard.press('Escape')
  assert.ok(await ann.page.locator('.following').isHidden())
  await bob.turn('write')
  await waitFor(async () => /in Write/.test(await ann.page.locator('.who').getAttribute('aria-label')), 5_000, 'where Bert is')
  assert.ok(await ann.page.locator('.ql-editor').isVisible(), 'Ann stays where she is')
  await bob.page.close()
  await ann.waitPeople([])
  await said('has left.')
  assert.deepEqual(ann.page.troubles, [])
})

test('two panes: one visitor sees a line cut on one side and put back, and what it costs', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const browser = await launch(t)
  const page = await openDemo(browser, server, { doc: 'alone', name: 'Ann' })
  const pane = number => page.page.locator('.pane').nth(number)
  const shown = number => pane(number).locator('.ProseMirror').evaluate(element => {
    const copy = element.cloneNode(true)
    for (const caret of copy.querySelectorAll('.caret, .ProseMirror-separator, br')) caret.remove()
    return copy.textContent
  })
  const both = words => Promise.all([0, 1].map(number => waitSame(words, () => shown(number), 5_000, `pane ${number + 1}`)))
  await page.page.locator('[data-try=split]').click()
  await page.waitSaved(undefined, 1)
  await pane(1).locator('.ProseMirror').waitFor()
  assert.equal((await page.people(0)).length, 1)
  await pane(0).locator('.ProseMirror').click()
  await page.keyboard.type('left \u{1F600}')
  await both('left \u{1F600}')
  await waitFor(async () => await pane(1).locator('.caret-name').getAttribute('data-name') === 'Ann', 5_000, 'the cursor of the one in the other')

  await page.page.locator('[data-try=cut]').click()
  await page.waitSign({ line: 'offline', said: 'Line cut' }, 5_000, 0)
  await page.waitSaved(undefined, 1)
  await page.keyboard.type('!')
  await pane(1).locator('.ProseMirror').click()
  await page.keyboard.press('Home')
  await page.keyboard.type('right, ')
  await waitSame('right, left \u{1F600}', () => shown(1), 5_000, 'the second pane')
  assert.equal(await shown(0), 'left \u{1F600}!')
  assert.deepEqual(await page.sign(0), { line: 'offline', unconfirmed: 1, said: 'Line cut', more: '1 edit kept here' })
  await pane(0).locator('.cut').click()
  await both('right, left \u{1F600}!')
  for (const number of [0, 1]) await page.waitSaved(undefined, number)
  await waitSame(await page.content(0), () => page.content(1), 5_000, 'equal documents')

  // The figures are of this line: it was lost once, has carried bytes, and edits took a time.
  await pane(0).locator('.sign').click()
  const figure = name => pane(0).locator(`[data-figure=${name}]`).textContent()
  await waitFor(async () => /ms/.test(await figure('trip')) && /ms/.test(await figure('confirmed')), 5_000, 'times')
  assert.equal(await figure('reconnects'), '1')
  assert.match(await figure('up'), /B$/)
  // A far line is slow, and the sign says so as long as it is true.
  await pane(0).locator('input[value=far]').check({ force: true })
  await pane(0).locator('.ProseMirror').focus()
  await page.keyboard.press('Control+End')
  const began = Date.now()
  await page.keyboard.type('?')
  await page.waitSign({ unconfirmed: 1, said: '1 edit not on disk yet' }, 5_000, 0)
  await page.waitSaved(undefined, 0)
  assert.ok(Date.now() - began >= 1_000, 'half a second each way')
  await both('right, left \u{1F600}!?')
  // A way that is chosen is the way that is used.
  await pane(0).locator('input[value=full]').check({ force: true })
  for (const way of ['sse', 'poll', 'websocket']) {
    await pane(0).locator(`input[value=${way}]`).check({ force: true })
    await page.waitSaved(way, 0)
  }
  await page.page.locator('#split').click()
  assert.equal(await page.page.locator('.pane').count(), 1)
  assert.deepEqual(page.page.troubles, [])
})

test('the sign says when the server cannot store, and when it can again', { timeout: 60_000, skip: cannotTrace() }, async t => {
  const server = await start({ t })
  const page = await openDemo(await launch(t), server, { doc: 'full', view: 'code', name: 'Ann' })
  await page.waitSaved()
  const heal = await inject(server, 'pwrite64:error=ENOSPC', t)
  await page.page.locator('.cm-content').click()
  await page.keyboard.type('while the disk is full')
  await page.waitSign({ line: 'websocket', said: /^\d+ edits? not on disk$/, more: /cannot store/ })
  await heal()
  await page.waitSaved()
  assert.equal((await serverCopy(server, 'full')).getText('source').toString(), 'while the disk is full')
})

test('an address is a document and a view; light and dark are remembered, and so is that one has seen the introduction', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const browser = await launch(t)
  const page = await openDemo(browser, server, { doc: 'a/b c?', view: 'code', name: 'Ann' })
  assert.equal(await page.page.locator('#doc').inputValue(), 'a/b c?')
  await page.page.locator('.cm-content').click()
  await page.keyboard.type('kept')
  await page.waitSaved()
  await page.page.locator('#theme').click()
  await page.page.locator('#theme').click()
  assert.equal(await page.page.locator('html').getAttribute('data-theme'), 'dark')
  await page.page.locator('#intro-close').click()
  await page.page.reload()
  await page.waitLines(['kept'])
  assert.equal(await page.page.locator('html').getAttribute('data-theme'), 'dark')
  assert.ok(await page.page.locator('#intro').isHidden())
  // Earlier versions had the document in the fragment.
  await page.page.goto(`${server.url}/#a%2Fb%20c%3F`)
  await page.page.locator('.tab[data-view=code]').click()
  await page.waitLines(['kept'])
  await page.page.locator('#doc').fill('another')
  await page.keyboard.press('Enter')
  await page.page.waitForURL(/doc=another&view=code/)
  await page.waitSaved()
  await page.page.locator('.cm-content').waitFor()
  await page.waitLines([''])
  assert.deepEqual(page.page.troubles, [])
})

test('nobody is shut out: axe finds nothing, nothing jumps, nothing is wider than a phone, and the keyboard gets everywhere', { timeout: 90_000 }, async t => {
  const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core')), 'utf8')
  const server = await start({ t })
  const browser = await launch(t)
  // Colours differ by the one, layouts by the other: two of the four show every view of each.
  for (const [colorScheme, width, height] of [['light', 1280, 800], ['dark', 390, 844]]) {
    const bob = await openDemo(browser, server, { doc: 'open', name: 'Bob', color: '#b4451f' })
    const ann = await openDemo(browser, server, { doc: 'open', name: 'Ann', colorScheme, viewport: { width, height }, reducedMotion: 'reduce', saved: false })
    await ann.page.evaluate(() => {
      window.shift = 0
      new PerformanceObserver(list => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value }).observe({ type: 'layout-shift', buffered: true })
    })
    await ann.waitSaved()
    await ann.waitPeople(['Bob'])
    await ann.page.locator(ann.parts.editor).waitFor()
    assert.ok(await ann.page.evaluate(() => window.shift) < 0.02, `the layout jumps by ${await ann.page.evaluate(() => window.shift)}`)
    await ann.page.evaluate(axe)
    const check = async what => {
      const violations = await ann.page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations
        .map(({ impact, id, nodes }) => `${impact}: ${id} at ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`))
      assert.deepEqual(violations, [], `${what}, ${colorScheme}, ${width} wide`)
      assert.equal(await ann.page.evaluate(() => document.documentElement.scrollWidth), width, `${what} is wider than the window`)
    }
    for (const view of ['write', 'code', 'notes', 'board']) {
      for (const page of [ann, bob]) await page.turn(view)
      await ann.page.locator('.view .tools').waitFor()
      await check(view)
    }
    await ann.page.locator('.sign').click()
    await check('the figures')
    await ann.page.locator('.side-line .side-close').click()
    await ann.page.locator('.me summary').click()
    await check('the card of oneself')
    await ann.keyboard.press('Escape')
    await ann.page.locator('#split').click()
    await ann.page.locator('.pane').nth(1).locator('.tools').waitFor()
    await ann.page.locator('.cut').first().click()
    await check('two panes')
    assert.deepEqual(ann.page.troubles, [])
    await ann.page.close()
    await bob.page.close()
  }

  // By keyboard alone: from the top of the page to the tabs, along them, and into the editor.
  const page = await openDemo(browser, server, { doc: 'keys', view: 'board', name: 'Ann' })
  await page.page.locator('.top input').focus()
  const reach = async selector => {
    for (let presses = 0; presses < 40; presses++) {
      if (await page.page.evaluate(selector => document.activeElement.matches(selector), selector)) return
      await page.keyboard.press('Tab')
    }
    assert.fail(`${selector} is not reached by Tab`)
  }
  for (const selector of ['#share', '#split', '#theme', '.try', '.sign', '.cut', '.me summary', '.tab[data-view=board]']) await reach(selector)
  for (const view of ['write', 'code', 'notes']) {
    await page.keyboard.press('ArrowRight')
    await page.page.locator(`.tab[data-view=${view}][aria-selected=true]`).waitFor()
  }
  await page.page.locator('.ql-editor').waitFor()
  await reach('.tool')
  await reach('.ql-editor')
  await page.keyboard.type('by keyboard')
  await page.waitSaved()
  assert.equal((await serverCopy(server, 'keys')).getText('quill').toString(), 'by keyboard')
})

test('who has no right to a document is told so, and so is who may only read', { timeout: 60_000 }, async t => {
  const secret = 'a secret that is long enough for HS256'
  const server = await start({ t, env: { QUIRE_AUTH_SECRET: secret } })
  const browser = await launch(t)
  const nobody = await openDemo(browser, server, { doc: 'closed', name: 'Nobody', saved: false })
  await nobody.waitSign({ line: 'refused', said: 'No access' })
  const cookie = { name: 'quire_token', value: token(secret, { sub: 'ann', docs: [{ name: 'closed', access: 'read' }] }), url: server.url }
  const reader = await openDemo(browser, server, { doc: 'closed', name: 'Ann', saved: false, cookies: [cookie] })
  await reader.waitSaved()
  await reader.page.locator('.ProseMirror').click()
  await reader.keyboard.type('x')
  await reader.waitSign({ said: 'Read only', more: 'edits stay on this page' })
})

test('the page is sent compressed, once: what a first visit costs', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const browser = await launch(t)
  const ann = await openDemo(browser, server, { doc: 'size', name: 'Ann' })
  const loaded = () => ann.page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(({ name }) => !name.includes('/v1/')).map(({ name, transferSize }) => [new URL(name).pathname, transferSize]))
  const sum = files => files.reduce((bytes, [, size]) => bytes + size, 0)
  const first = await loaded()
  const paint = await ann.page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime)
  t.diagnostic(`write: ${sum(first)} bytes in ${first.length} files, first paint after ${paint.toFixed(0)} ms`)
  assert.ok(sum(first) < 200_000, `${sum(first)} bytes`)
  assert.ok(!first.some(([path]) => /code-|notes-|board-/.test(path)), 'an editor that was not asked for')
  let before = sum(first)
  for (const view of ['code', 'notes', 'board']) {
    await ann.turn(view)
    await ann.page.locator('.view .tools').waitFor()
    const now = sum(await loaded())
    t.diagnostic(`${view}: ${now - before} bytes more`)
    before = now
  }
  // A second visit asks for the page alone, and is told that it has it.
  await ann.page.reload()
  await ann.waitSaved()
  await ann.page.locator('.view .tools').waitFor()
  const again = await loaded()
  assert.ok(sum(again.filter(([path]) => path.startsWith('/assets/'))) === 0, JSON.stringify(again))
  for (const [encoding, name] of [['br', 'br'], ['gzip, deflate', 'gzip'], ['identity', null]]) {
    const answer = await server.fetch('/', { headers: { 'accept-encoding': encoding } })
    assert.equal(answer.headers.get('content-encoding'), name)
    assert.match(await answer.text(), /^<!doctype html>/)
  }
})
