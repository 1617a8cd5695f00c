// The page of the server in real browsers: each editor with two people at once and with its stock provider, through cut lines, a
// killed server and networks without WebSockets. At each moment the sign must be true.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpProxy } from './cases/lib/http-proxy.mjs'
import { launch, serveEditors } from './lib/browser.mjs'
import { serverCopy, waitFor } from './lib/client.mjs'
import { openDemo, openStock, waitSame } from './lib/demo.mjs'
import { start } from './lib/server.mjs'

/** Each view with the stock editor for the same root, and where bold text is. */
const EDITORS = [
  { view: 'write', stock: 'tiptap', provider: '@hocuspocus/provider', bold: 'strong' },
  { view: 'code', stock: 'codemirror', provider: 'y-websocket' },
  { view: 'notes', stock: 'quill', provider: 'y-websocket', bold: 'strong' }
]

/** Presses keys until the lines are as expected: how many steps of undoing there are depends on how fast was typed. */
async function pressUntil (page, keys, expected) {
  await waitSame(expected, async () => {
    const lines = await page.lines()
    if (JSON.stringify(lines) !== JSON.stringify(expected)) await page.keyboard.press(keys)
    return lines
  }, 10_000, `by ${keys}`)
}

for (const { view, stock: editor, provider, bold } of EDITORS) {
  test(`${view}: two people and a stock ${editor} with ${provider} at once, through a cut line and a killed server`, { timeout: 120_000 }, async t => {
    // The stock editor comes from another port, which is another origin.
    const server = await start({ t, args: ['--allow-origin', 'http://127.0.0.1:*'] })
    const browser = await launch(t)
    const address = await serveEditors(t)
    const ann = await openDemo(browser, server, { doc: 'one', view, name: 'Ann' })
    const bob = await openDemo(browser, server, { doc: 'one', view, name: 'Bob', color: '#b4451f' })
    const stock = await openStock(browser, address(server, editor, 'one', 'Sue'), editor)
    const all = [ann, bob, stock]
    const ours = [ann, bob]
    const everywhere = async lines => { for (const page of all) await page.waitLines(lines) }
    const equal = async () => {
      for (const page of ours) await page.waitSaved()
      await waitSame(await ann.content(), () => bob.content(), 5_000, 'equal documents')
    }
    await ann.waitPeople(['Bob', 'Sue'])
    await bob.waitPeople(['Ann', 'Sue'])

    await ann.page.locator(ann.parts.editor).click()
    await ann.keyboard.type('first\nsecond\nthird')
    await everywhere(['first', 'second', 'third'])

    // All three at once, each at a place of its own.
    await ann.keyboard.press('Control+Home')
    await bob.clickLine(2)
    await stock.clickLine(1)
    await Promise.all([ann.keyboard.type('Ann \u{1F600} at '), bob.keyboard.type(' by Bob \u{1F680}'), stock.keyboard.type(' of Sue \u{1F33B}')])
    const lines = ['Ann \u{1F600} at first', 'second of Sue \u{1F33B}', 'third by Bob \u{1F680}']
    await everywhere(lines)
    await equal()
    for (const [page, others] of [[ann, ['Bob', 'Sue']], [bob, ['Ann', 'Sue']], [stock, ['Ann', 'Bob']]]) for (const name of others) await page.waitCursor(name)

    if (bold) {
      await ann.keyboard.press('Control+Home')
      for (let i = 0; i < 3; i++) await ann.keyboard.press('Shift+ArrowRight')
      await waitFor(() => ann.page.evaluate(() => getSelection().toString() === 'Ann'), 5_000, 'the selection')
      // The editor hears of a selection in an event of its own, before the page is drawn again.
      await ann.page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve))))
      await ann.keyboard.press('Control+b')
      for (const page of all) await waitFor(async () => (await page.page.locator(`${page.parts.line} ${bold}`).allTextContents()).join('') === 'Ann', 5_000, 'the bold word')
    }
    // What Bob takes back is his own, and nothing else.
    await pressUntil(bob, 'Control+z', [lines[0], lines[1], 'third'])
    await everywhere([lines[0], lines[1], 'third'])
    await pressUntil(bob, 'Control+y', lines)
    await everywhere(lines)
    await equal()

    // Bob's line is cut: the sign says so, and how much is kept here.
    await bob.page.locator('.cut').click()
    await bob.waitSign({ line: 'offline', said: 'Line cut', unconfirmed: 0 })
    await bob.waitPeople([])
    await ann.waitPeople(['Sue'])
    await bob.clickLine(2)
    await bob.keyboard.type('!')
    await bob.waitSign({ line: 'offline', unconfirmed: 1, more: '1 edit kept here' })
    await ann.keyboard.press('Control+Home')
    await ann.keyboard.type('Oh, ')
    await ann.waitLines([`Oh, ${lines[0]}`, lines[1], lines[2]])
    await ann.waitSaved()
    await bob.page.locator('.cut').click()
    await Promise.all([ann.waitPeople(['Bob', 'Sue'], 2_000), bob.waitPeople(['Ann', 'Sue'], 2_000)])
    const merged = [`Oh, ${lines[0]}`, lines[1], `${lines[2]}!`]
    await everywhere(merged)
    await equal()

    // The server is killed while nobody expects it.
    await server.kill('SIGKILL')
    for (const page of ours) await page.waitSign({ line: 'offline', said: 'Offline', unconfirmed: 0 })
    await ann.keyboard.press('Control+Home')
    await ann.keyboard.type('A')
    await bob.clickLine(2)
    await bob.keyboard.type('B')
    for (const page of ours) await page.waitSign({ line: 'offline', unconfirmed: 1, more: '1 edit kept here' })
    await server.restart()
    for (const page of ours) await page.waitSaved()
    await Promise.all([ann, bob].map(page => waitFor(async () => (await page.people()).some(name => name === (page === ann ? 'Bob' : 'Ann')), 2_000, 'presence within 2 s of the return')))
    await everywhere([`A${merged[0]}`, merged[1], `${merged[2]}B`])
    await equal()
    for (const [page, name] of [[ann, 'Bob'], [bob, 'Ann']]) await page.waitCursor(name)
    const copy = await serverCopy(server, 'one')
    const held = { write: () => copy.getXmlFragment('default').toString(), code: () => copy.getText('source').toString(), notes: () => copy.getText('quill').toString() }[view]()
    assert.ok(held.includes('of Sue \u{1F33B}') && held.includes('by Bob \u{1F680}!B'), held)
    assert.deepEqual([...ann.page.troubles, ...bob.page.troubles], [])
  })
}

test('the sign says that all is on disk when it is: a server killed at that moment has everything', { timeout: 60_000 }, async t => {
  const server = await start({ t, faults: ['store-delay=400ms'] })
  const browser = await launch(t)
  const page = await openDemo(browser, server, { doc: 'truth', view: 'code', name: 'Ann' })
  let text = ''
  for (const word of ['one ', 'two ', 'three ']) {
    await page.page.locator('.cm-content').click()
    await page.keyboard.press('Control+End')
    await page.keyboard.type(word)
    text += word
    // The store is slow on purpose: until it is done the sign must not say so.
    await page.waitSign({ said: /edits? not on disk yet$/ })
    await page.waitSaved()
    await server.kill('SIGKILL')
    await page.waitSign({ line: 'offline' })
    await server.restart()
    assert.equal((await serverCopy(server, 'truth')).getText('source').toString(), text)
    await page.waitSaved()
  }
})

test('with WebSockets blocked every editor works over SSE, or over polls when they are chosen, and the sign says so', { timeout: 60_000 }, async t => {
  const server = await start({ t })
  const proxy = await httpProxy(server, { t, rules: { websocket: 'refuse' } })
  const browser = await launch(t)
  const ann = await openDemo(browser, server, { doc: 'blocked', name: 'Ann' })
  const bob = await openDemo(browser, proxy, { doc: 'blocked', name: 'Bob', saved: false })
  await bob.waitSaved('sse')
  assert.equal((await bob.sign()).more, 'SSE')
  for (const { view } of EDITORS) {
    for (const page of [ann, bob]) {
      await page.turn(view)
      await page.page.locator(page.parts.editor).click()
    }
    await ann.keyboard.type('Ann')
    await bob.waitLines(['Ann'])
    await bob.keyboard.press('Control+End')
    await Promise.all([ann.keyboard.type(' \u{1F680}'), bob.keyboard.type(' and Bob \u{1F600}')])
    await waitFor(async () => (await ann.lines())[0]?.length === 'Ann \u{1F680} and Bob \u{1F600}'.length, 10_000, `all that was typed, in ${view}`)
    await bob.waitLines(await ann.lines())
    await bob.waitSaved('sse')
    await ann.waitCursor('Bob')
    await bob.waitCursor('Ann')
  }
  await waitSame(await ann.content(), () => bob.content(), 5_000, 'equal documents')

  // Another way by the page's own switch, and back to the best one once the network lets it through.
  await bob.page.locator('.sign').click()
  await bob.page.locator('input[value=poll]').check({ force: true })
  await bob.waitSaved('poll')
  const [line] = await ann.lines()
  await bob.page.locator(bob.parts.editor).focus()
  await bob.keyboard.press('Control+End')
  await bob.keyboard.type('!')
  await ann.waitLines([`${line}!`])
  await bob.waitSaved('poll')
  proxy.rules.websocket = 'pass'
  await bob.page.locator('input[value=websocket]').check({ force: true })
  await bob.waitSaved('websocket')
  await Promise.all([ann.waitPeople(['Bob'], 2_000), bob.waitPeople(['Ann'], 2_000)])
  assert.deepEqual([...ann.page.troubles, ...bob.page.troubles], [])
})
