// A real browser over TLS and HTTP/2: ten tabs hold an event stream each, where HTTP/1.1 gives one browser six connections to a server.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as Y from 'yjs'
import { launch } from './lib/browser.mjs'
import { waitFor } from './lib/client.mjs'
import { start } from './lib/server.mjs'

const TABS = 10

/** A certificate of its own for this machine, or undefined where nobody can make one. */
function certificate (t) {
  const folder = mkdtempSync(join(tmpdir(), 'quire-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [key, cert] = ['key.pem', 'cert.pem'].map(name => join(folder, name))
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' })
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
  return { key, cert }
}

/** In a tab: opens a session and its stream, and counts what comes. */
async function listen (doc) {
  const opened = await fetch(`/v1/docs/${doc}/sessions`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' } })
  const body = new Uint8Array(await opened.arrayBuffer())
  const session = new TextDecoder().decode(body.subarray(1, 1 + body[0]))
  let at = 1 + body[0]
  while (body[at] >= 0x80) at++
  const cursor = new TextDecoder().decode(body.subarray(at + 2, at + 2 + body[at + 1]))
  const heard = window.heard = { open: false, updates: 0, errors: 0 }
  const events = new EventSource(`/v1/sessions/${session}/events?after=${cursor}`)
  events.onopen = () => { heard.open = true }
  events.onerror = () => { heard.errors++ }
  events.onmessage = ({ data }) => { if (atob(data).startsWith('\0\x02')) heard.updates++ }
}

/** Puts text into a document. */
function write (page, doc, text) {
  const made = new Y.Doc()
  made.getText('text').insert(0, text)
  const update = [...Y.encodeStateAsUpdate(made)]
  return page.evaluate(async ([doc, update]) => (await fetch(`/v1/docs/${doc}/update`, { method: 'POST', body: new Uint8Array(update) })).status, [doc, update])
}

test('ten tabs of one browser hear events at the same time over HTTP/2', { timeout: 60_000 }, async t => {
  const files = certificate(t)
  if (!files) return t.skip('there is no openssl')
  const server = await start({ t, store: 'memory', args: ['--tls-cert', files.cert, '--tls-key', files.key] })
  const origin = `https://localhost:${server.port}`
  const browser = await launch(t)
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const tabs = await Promise.all(Array.from({ length: TABS }, async () => {
    const page = await context.newPage()
    await page.goto(`${origin}/`)
    await page.evaluate(listen, 'ten')
    return page
  }))
  const heard = () => Promise.all(tabs.map(page => page.evaluate(() => window.heard)))
  await waitFor(async () => (await heard()).every(({ open }) => open), 10_000, "ten open streams")
  for (let round = 1; round <= 3; round++) {
    assert.equal(await write(tabs[round], 'ten', `${round}`), 200)
    await waitFor(async () => (await heard()).every(({ updates }) => updates === round), 5_000, `round ${round} in every tab`)
  }
  for (const { errors } of await heard()) assert.equal(errors, 0)
  // Of what was asked here: requests of the page itself that were given up have none.
  const protocols = await tabs[0].evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/v1/docs/ten/')).map(({ nextHopProtocol }) => nextHopProtocol))
  assert.ok(protocols.length > 0 && protocols.every(protocol => protocol === 'h2'), `${protocols}`)
  assert.deepEqual(server.panics(), [])
})
