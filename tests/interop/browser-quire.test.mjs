// Real browsers with the package of this repository, on networks that hold event streams back and change their minds.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpProxy } from './cases/lib/http-proxy.mjs'
import { launch, openPage, servePage } from './lib/browser.mjs'
import { serverCopy, waitFor } from './lib/client.mjs'
import { start } from './lib/server.mjs'

const value = page => page.locator('#text').inputValue()
const transport = page => page.evaluate(() => window.quire.provider.transport)
const people = async page => (await page.locator('#people li').allTextContents()).map(text => text.split(' ')[0]).sort().join(' ')

test('with event streams held back it goes on by polls, and returns to a WebSocket when there is one, while two people type', { timeout: 180_000 }, async t => {
  const server = await start({ t, args: ['--allow-origin', 'http://127.0.0.1:*'] })
  const proxy = await httpProxy(server, { t, rules: { websocket: 'refuse', buffer: true } })
  const browser = await launch(t)
  const address = await servePage(t)
  const a = await openPage(browser, address(proxy, 'doc', 'Ann', { provider: 'quire' }))
  const b = await openPage(browser, address(server, 'doc', 'Bob', { provider: 'quire' }))
  for (const page of [a, b]) await waitFor(async () => await page.locator('#status').textContent() === 'synced', 15_000, 'the first sync')
  assert.equal(await transport(b), 'websocket')
  await waitFor(async () => await transport(a) === 'poll', 15_000, 'polls')
  for (const page of [a, b]) await waitFor(async () => await people(page) === 'Ann Bob', 10_000, 'both people on both pages')

  // Each types its own letter, one at a time, at its own end of the text, for as long as the ways change.
  let typing = true
  const type = async (page, key, letter) => {
    let count = 0
    while (typing) {
      await page.locator('#text').press(key)
      await page.keyboard.type(letter, { delay: 20 })
      count++
    }
    return count
  }
  const counts = Promise.all([type(a, 'Control+Home', 'a'), type(b, 'Control+End', 'b')])
  const online = () => a.evaluate(() => { window.dispatchEvent(new Event('online')) })
  for (const [change, expected] of [
    [{ websocket: 'pass' }, 'websocket'],
    [{ websocket: 'refuse', buffer: false }, 'sse'],
    [{ websocket: 'pass' }, 'websocket']
  ]) {
    Object.assign(proxy.rules, change)
    if (expected === 'websocket') await online()
    else proxy.cut()
    await waitFor(async () => await transport(a) === expected, 30_000, async () => `${expected}, not ${await transport(a)}`, 50)
    const typed = (await value(a)).length
    for (const page of [a, b]) await waitFor(async () => (await value(page)).length > typed + 2, 15_000, 'some typing on this way')
  }
  typing = false
  const [as, bs] = await counts
  for (const page of [a, b]) await waitFor(async () => [...await value(page)].filter(c => c === 'a').length === as && (await value(page)).length === as + bs, 15_000, async () => `${as} a and ${bs} b, not ${await value(page)}`)
  assert.equal(await value(a), await value(b))
  await waitFor(() => a.evaluate(() => window.quire.provider.unconfirmed === 0), 10_000, 'confirmations')
  assert.equal((await serverCopy(server, 'doc')).getText('text').toString(), await value(a))
  for (const page of [a, b]) await waitFor(async () => await people(page) === 'Ann Bob', 10_000, 'both people on both pages, still')
  await a.close()
  await waitFor(async () => await people(b) === 'Bob', 3_000, 'Ann gone')
  assert.deepEqual([...a.troubles, ...b.troubles], [])
  t.diagnostic(`${as} letters of one and ${bs} of the other`)
})

test('two tabs of one browser share also while the server is away', { timeout: 60_000 }, async t => {
  const server = await start({ t, args: ['--allow-origin', 'http://127.0.0.1:*'] })
  const browser = await launch(t)
  const address = await servePage(t)
  const context = await browser.newContext()
  const open = async user => {
    const page = await context.newPage()
    await page.goto(address(server, 'doc', user, { provider: 'quire', tabs: '' }))
    await waitFor(async () => await page.locator('#status').textContent() === 'synced', 15_000, 'the first sync')
    return page
  }
  const [a, b] = [await open('Ann'), await open('Bob')]
  await server.kill('SIGKILL')
  await waitFor(async () => await a.locator('#status').textContent() === 'lost', 10_000, 'the loss')
  await a.locator('#text').pressSequentially('without a server')
  await waitFor(async () => await value(b) === 'without a server', 5_000, 'the text in the other tab')
  await server.restart()
  await waitFor(async () => (await serverCopy(server, 'doc')).getText('text').toString() === 'without a server', 20_000, 'the text on the server', 100)
})
