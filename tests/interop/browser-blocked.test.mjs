// Real browsers with the package of this repository, on networks that block WebSockets.
// Alone: that an editor works within 3 s of loading.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpProxy } from './cases/lib/http-proxy.mjs'
import { launch, openPage, servePage } from './lib/browser.mjs'
import { openClient, waitFor } from './lib/client.mjs'
import { start } from './lib/server.mjs'

const value = page => page.locator('#text').inputValue()
const transport = page => page.evaluate(() => window.quire.provider.transport)

for (const websocket of ['refuse', 'hang', 'mute']) {
  test(`with WebSockets blocked (${websocket}) the editor works within 3 s of loading, over SSE`, { timeout: 60_000 }, async t => {
    const server = await start({ t, args: ['--allow-origin', 'http://127.0.0.1:*'] })
    const author = openClient(server, 'doc', { t })
    await author.waitSynced()
    author.text().insert(0, 'there before')
    const proxy = await httpProxy(server, { t, rules: { websocket } })
    const browser = await launch(t)
    const address = await servePage(t)
    const page = await openPage(browser, address(proxy, 'doc', 'Ann', { provider: 'quire' }))
    const loaded = await page.evaluate(() => performance.now())
    await waitFor(async () => await value(page) === 'there before', 10_000, 'the text')
    const took = await page.evaluate(() => performance.now())
    t.diagnostic(`worked ${(took - loaded).toFixed(0)} ms after the page was loaded, which took ${loaded.toFixed(0)} ms`)
    assert.ok(took - loaded < 3_000, `${took - loaded} ms`)
    await page.locator('#text').press('Control+End')
    await page.locator('#text').pressSequentially(', and typed')
    await waitFor(() => author.text().toString() === 'there before, and typed', 5_000, 'the typing at the other')
    assert.equal(await transport(page), 'sse')
    assert.ok(proxy.upgrades > 0, 'a WebSocket was tried')
    assert.deepEqual(page.troubles, [])
  })
}
