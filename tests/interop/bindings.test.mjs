// The package as an application gets it: packed and installed, with the editors' own bindings in a real browser, and by its types.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { launch, openPage } from './lib/browser.mjs'
import { serverCopy, waitFor } from './lib/client.mjs'
import { repoRoot, start } from './lib/server.mjs'

const client = join(repoRoot, 'client')
const here = join(repoRoot, 'tests/interop')
const esbuild = createRequire(join(client, 'package.json'))('esbuild')

const bundle = async options => (await esbuild.build({ bundle: true, minify: true, format: 'esm', write: false, logLevel: 'error', ...options })).outputFiles[0].contents

/** Serves a page with the bundle. Resolves with the address for parameters. */
async function serveBundle (t) {
  const script = await bundle({ entryPoints: [join(here, 'bindings/page.mjs')], nodePaths: [join(here, 'node_modules')] })
  const listener = createServer((request, response) => {
    if (request.url === '/page.js') return response.setHeader('content-type', 'text/javascript').end(script)
    response.setHeader('content-type', 'text/html').end('<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script type="module" src="/page.js"></script>')
  })
  t.after(() => new Promise(resolve => { listener.close(resolve); listener.closeAllConnections() }))
  await new Promise(resolve => listener.listen(0, '127.0.0.1', resolve))
  return params => `http://127.0.0.1:${listener.address().port}/?${new URLSearchParams(params)}`
}

test('ProseMirror, CodeMirror, Quill and Lexical work with it through their own bindings, y-indexeddb beside it', { timeout: 120_000 }, async t => {
  const server = await start({ t, args: ['--allow-origin', 'http://127.0.0.1:*'] })
  const address = await serveBundle(t)
  const browser = await launch(t)
  const [a, b] = [await openPage(browser, address({ server: server.url, name: 'editors', user: 'Ann', indexeddb: '' })), await openPage(browser, address({ server: server.url, name: 'editors', user: 'Bob' }))]
  for (const page of [a, b]) await waitFor(() => page.evaluate(() => window.quire?.provider.synced), 20_000, async () => `the first sync; ${page.troubles}`)
  const texts = page => page.evaluate(() => window.quire.texts())
  const editors = { prosemirror: '#prosemirror .ProseMirror', codemirror: '#codemirror .cm-content', quill: '#quill .ql-editor', lexical: '#lexical' }
  const expected = {}
  for (const [name, selector] of Object.entries(editors)) {
    await a.locator(selector).click()
    await a.keyboard.type(`${name} by Ann`)
    await waitFor(async () => (await texts(b))[name] === `${name} by Ann`, 10_000, async () => `${name}: ${JSON.stringify(await texts(b))} ${a.troubles} ${b.troubles}`)
    await b.locator(selector).click()
    await b.keyboard.press('Control+End')
    await b.keyboard.type(' and \u{1F600} Bob')
    expected[name] = `${name} by Ann and \u{1F600} Bob`
  }
  for (const page of [a, b]) await waitFor(async () => JSON.stringify(await texts(page)) === JSON.stringify(expected), 10_000, async () => JSON.stringify(await texts(page)))
  await waitFor(() => b.locator('.ProseMirror-yjs-cursor, .cm-ySelectionCaret').count(), 10_000, 'a cursor of the other')
  assert.equal(await a.evaluate(() => window.quire.lexicalStatus), 'connected')
  await waitFor(() => a.evaluate(() => window.quire.provider.unconfirmed === 0), 10_000, 'confirmations')

  // Typed without a server, the page closed and opened again: the browser's database has it, and it counts as unconfirmed until the server has it.
  await server.kill('SIGKILL')
  await waitFor(() => a.evaluate(() => !window.quire.provider.connected), 10_000, 'the loss')
  await a.locator(editors.codemirror).click()
  await a.keyboard.press('Control+End')
  await a.keyboard.type(', offline')
  await waitFor(() => a.evaluate(() => window.quire.provider.unconfirmed > 0), 5_000, 'the sign')
  // y-indexeddb writes behind the editor and does not say when; a page closed before that has the text nowhere.
  await waitFor(async () => (await a.evaluate(() => window.quire.stored())).endsWith(', offline'), 10_000, 'the text in the database')
  await a.reload()
  await waitFor(async () => (await texts(a)).codemirror.endsWith(', offline'), 10_000, 'the text from the database')
  assert.ok(await a.evaluate(() => window.quire.provider.unconfirmed > 0))
  await server.restart()
  await waitFor(() => a.evaluate(() => window.quire.provider.synced && window.quire.provider.unconfirmed === 0), 40_000, 'the confirmation')
  assert.ok((await serverCopy(server, 'editors')).getText('codemirror').toString().endsWith(', offline'))
  for (const page of [a, b]) {
    assert.deepEqual(await page.evaluate(() => window.quire.errors), [])
    assert.deepEqual(page.troubles, [])
    await page.evaluate(() => { window.quire.provider.destroy() })
  }
})

test('packed and installed it works in an empty project, with strict TypeScript, and is small', { timeout: 120_000 }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'quire-pack-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const run = (command, args, options = {}) => execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const [packed] = JSON.parse(run('npm', ['pack', client, '--json', '--ignore-scripts']))
  assert.deepEqual(packed.files.map(file => file.path).filter(path => !/^(dist|src)\/|^(package.json|README.md)$/.test(path)), [])
  writeFileSync(join(folder, 'package.json'), '{"type":"module","private":true}')
  // With a cache of its own, which is empty: what is not named here is not found by luck.
  run('npm', ['install', '--offline', '--cache', join(folder, 'cache'), '--no-audit', '--no-fund', '--ignore-scripts', '--omit=peer', '--legacy-peer-deps', '--no-save', `./${packed.filename}`, ...['yjs', 'lib0', 'y-protocols', 'isomorphic.js'].map(name => `file:${join(here, 'node_modules', name)}`), '--install-links'])
  writeFileSync(join(folder, 'use.ts'), `
import * as Y from 'yjs'
import { QuireProvider, type QuireOptions, type Transport, type End } from 'quire-client'
const options: QuireOptions = { connect: false, token: async ({ refresh }) => refresh ? 'new' : 'old', transports: ['sse', 'poll'] }
const provider = new QuireProvider('https://host', 'doc', new Y.Doc(), options)
provider.on('status', ({ status }) => { const s: 'connecting' | 'connected' | 'disconnected' = status; console.log(s) })
provider.on('sync', (synced: boolean) => { console.log(synced) })
provider.once('closed', (end: End) => { console.log(end.code, end.reason) })
const transport: Transport | undefined = provider.transport
const count: number = provider.unconfirmed
provider.awareness.setLocalStateField('user', { name: 'x' })
// @ts-expect-error: no such event
provider.on('nothing', () => {})
// @ts-expect-error: no such transport
const wrong: QuireOptions = { transports: ['carrier pigeon'] }
console.log(transport, count, wrong, provider.people.map(person => person.isTyping))
provider.destroy()
console.log('works')
`)
  const tsc = join(client, 'node_modules/.bin/tsc')
  for (const [module, resolution] of [['NodeNext', 'NodeNext'], ['ESNext', 'Bundler']]) {
    run(tsc, ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--target', 'ES2022', '--module', module, '--moduleResolution', resolution, '--types', '', '--lib', 'ES2022,DOM', 'use.ts'])
  }
  assert.match(run('node', ['use.js']), /works/)

  const size = async external => gzipSync(await bundle({ entryPoints: [join(client, 'dist/index.js')], external }), { level: 9 }).length
  const [whole, own] = [await size(['yjs']), await size(['yjs', 'lib0/*', 'y-protocols/*'])]
  t.diagnostic(`gzip: ${whole} bytes besides yjs, of them ${own} of its own`)
  assert.ok(whole < 12_000, `${whole} bytes`)
})
