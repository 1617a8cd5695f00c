// Real browsers edit one document, on pages with the unmodified packages. The page that the server brings along: web-demo.test.mjs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { launch, openPage, serveEditors, servePage } from './lib/browser.mjs'
import { serverCopy, waitFor } from './lib/client.mjs'
import { start } from './lib/server.mjs'

const status = page => page.locator('#status').textContent()

test('two browsers on a page with y-websocket: text, cursors and presence both ways, through a hard end', { timeout: 120_000 }, async t => {
  // The page comes from another port, which is another origin.
  const server = await start({ t, args: ['--allow-origin', 'http://127.0.0.1:*'] })
  const browser = await launch(t)
  const address = await servePage(t)
  const a = await openPage(browser, address(server, 'page', 'Ann'))
  const b = await openPage(browser, address(server, 'page', 'Bob'))
  const value = page => page.locator('#text').inputValue()
  const people = async page => (await page.locator('#people li').allTextContents()).sort()
  const equal = async text => {
    for (const page of [a, b]) await waitFor(async () => await value(page) === text, 10_000, `the text ${JSON.stringify(text)}`)
  }
  const everybody = async deadline => {
    for (const page of [a, b]) await waitFor(async () => /^Ann .*,Bob /.test((await people(page)).join()), deadline, 'both people on both pages')
  }
  for (const page of [a, b]) await waitFor(async () => await status(page) === 'synced', 15_000, 'the first sync')
  await everybody(5_000)

  await a.locator('#text').pressSequentially('Ann was here. ')
  await equal('Ann was here. ')
  await b.locator('#text').press('Control+End')
  await b.locator('#text').pressSequentially('Bob \u{1F600} too.')
  await equal('Ann was here. Bob \u{1F600} too.')
  await waitFor(async () => (await people(a)).includes('Bob 25'), 5_000, 'the cursor of Bob on the page of Ann')
  await a.locator('#text').press('Control+Home')
  await waitFor(async () => (await people(b)).includes('Ann 0'), 5_000, 'the cursor of Ann on the page of Bob')

  await server.kill('SIGKILL')
  for (const page of [a, b]) await waitFor(async () => await status(page) === 'lost', 10_000, 'the loss to be seen')
  await a.locator('#text').pressSequentially('A1 ')
  await b.locator('#text').press('Control+End')
  await b.locator('#text').pressSequentially(' B1')
  await server.restart()
  for (const page of [a, b]) await waitFor(async () => await status(page) === 'synced', 15_000, 'both back')
  await equal('A1 Ann was here. Bob \u{1F600} too. B1')
  await everybody(4_000)

  assert.equal((await serverCopy(server, 'page')).getText('text').toString(), 'A1 Ann was here. Bob \u{1F600} too. B1')
  await b.close()
  await waitFor(async () => (await people(a)).join() === 'Ann 3', 10_000, 'Bob gone')
  assert.deepEqual(a.troubles, [])
})

test('Tiptap with a Hocuspocus provider and CodeMirror with y-websocket edit one document, through a hard end', { timeout: 120_000 }, async t => {
  // The page comes from another port, which is another origin.
  const server = await start({ t, args: ['--allow-origin', 'http://127.0.0.1:*'] })
  const browser = await launch(t)
  const address = await serveEditors(t)
  const tiptap = await openPage(browser, address(server, 'tiptap', 'one document', 'Ann'))
  const code = await openPage(browser, address(server, 'codemirror', 'one document', 'Bob'))
  const second = await openPage(browser, address(server, 'tiptap', 'one document', 'Cleo'))
  const pages = [tiptap, code, second]
  const shown = (page, id) => page.locator(`#${id}`).textContent()
  const synced = () => Promise.all(pages.map(page => waitFor(async () => await status(page) === 'synced', 15_000, 'the first sync')))
  const everybody = async deadline => {
    for (const page of pages) await waitFor(async () => await shown(page, 'people') === 'Ann,Bob,Cleo', deadline, async () => 'three people on each page')
  }
  await synced()
  await everybody(5_000)

  const rich = tiptap.locator('.tiptap')
  await rich.click()
  await tiptap.keyboard.type('Hello \u{1F600} ')
  await tiptap.keyboard.press('Control+b')
  await tiptap.keyboard.type('bold')
  await waitFor(async () => /<paragraph>Hello \u{1F600} <bold>bold<\/bold><\/paragraph>/u.test(await shown(code, 'other')), 10_000, async () => `the paragraph at CodeMirror, which shows ${await shown(code, 'other')}`)
  await waitFor(async () => await second.locator('.tiptap strong').textContent() === 'bold', 10_000, 'the bold word at the other Tiptap')
  await code.locator('.cm-content').click()
  await code.keyboard.type('let x = 1')
  for (const page of [tiptap, second]) await waitFor(async () => await shown(page, 'other') === 'let x = 1', 10_000, 'the line of code at Tiptap')
  // The caret of one Tiptap is shown in the other, and all of it is saved.
  await waitFor(() => second.locator('.collaboration-carets__caret').count(), 5_000, 'the caret of Ann')
  await waitFor(async () => await shown(tiptap, 'unsaved') === '0', 5_000, 'everything saved')

  await server.kill('SIGKILL')
  for (const page of pages) await waitFor(async () => await status(page) === 'lost', 10_000, 'the loss to be seen')
  await tiptap.keyboard.type(' offline')
  await code.keyboard.type(' // offline')
  await server.restart()
  await waitFor(async () => await shown(second, 'other') === 'let x = 1 // offline', 20_000, 'what CodeMirror wrote alone')
  await waitFor(async () => /bold offline/.test(await second.locator('.tiptap').textContent()), 20_000, 'what Tiptap wrote alone')
  await everybody(5_000)
  assert.deepEqual(pages.flatMap(page => page.troubles), [])
})
