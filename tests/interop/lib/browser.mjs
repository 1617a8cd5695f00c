// A real Chromium, and a small page with the unmodified packages that a test serves by itself.

import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'

const here = dirname(fileURLToPath(import.meta.url))
const modules = join(here, '../node_modules')
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Starts Chromium: QUIRE_CHROMIUM, else where distributions put it. Closed after the test. */
export async function launch (t) {
  const executablePath = process.env.QUIRE_CHROMIUM ?? BROWSERS.find(path => existsSync(path))
  if (!executablePath) throw new Error(`no Chromium at ${BROWSERS.join(', ')}: install it or set QUIRE_CHROMIUM`)
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
  t.after(() => browser.close())
  return browser
}

/** A page of its own in a context of its own, with its console kept: contexts share no BroadcastChannel, no storage. */
export async function openPage (browser, url) {
  const context = await browser.newContext()
  const page = await context.newPage()
  page.troubles = []
  page.on('pageerror', error => page.troubles.push(`error: ${error.message}`))
  page.on('console', message => {
    if (message.type() !== 'error' || /WebSocket connection to|net::ERR_/.test(message.text())) return // lines while the server is down
    page.troubles.push(`console: ${message.text()}`)
  })
  await page.goto(url)
  return page
}

/** The import map of a browser for these packages, from their own `exports`. */
function importMap () {
  const imports = {}
  for (const name of ['yjs', 'y-protocols', 'lib0', 'y-websocket', 'quire-client']) {
    const { exports } = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8'))
    for (const [path, target] of Object.entries(exports)) {
      const file = pick(target)
      if (file && !path.includes('*') && /\.m?js$/.test(file)) imports[name + path.slice(1)] = `/modules/${name}/${file.slice(2)}`
    }
  }
  return JSON.stringify({ imports })
}

function pick (target) {
  if (typeof target === 'string') return target
  for (const condition of ['browser', 'module', 'import', 'default']) if (target[condition]) return pick(target[condition])
  return undefined
}

/** Serves page.html and the packages. Resolves with the address of the page for a document. */
export function servePage (t) {
  const page = readFileSync(join(here, 'page.html'), 'utf8').replace('{/* import map */}', importMap())
  const listener = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname))
    if (path === '/') return response.setHeader('content-type', 'text/html').end(page)
    const file = join(modules, path.replace(/^\/modules\//, ''))
    if (!path.startsWith('/modules/') || !existsSync(file)) return response.writeHead(404).end()
    response.setHeader('content-type', 'text/javascript').end(readFileSync(file))
  })
  t.after(() => new Promise(resolve => { listener.close(resolve); listener.closeAllConnections() }))
  return new Promise(resolve => listener.listen(0, '127.0.0.1', () => {
    resolve((server, name, user, more = {}) => `http://127.0.0.1:${listener.address().port}/?${new URLSearchParams({ server: server.wsUrl, name, user, ...more })}`)
  }))
}

const EDITORS = `<!doctype html><meta charset="utf-8"><title>editors</title>
<p id="status">connecting</p><p id="unsaved"></p><p id="people"></p><div id="editor"></div><pre id="other"></pre>
<script src="/editors.js"></script>`

/** Bundles editors.mjs and serves it. Resolves with the address of the page of one editor, `tiptap`, `codemirror` or `quill`, for a document. */
export async function serveEditors (t) {
  const bundled = await build({ entryPoints: [join(here, 'editors.mjs')], bundle: true, write: false, format: 'iife', target: 'chrome100', logLevel: 'warning' })
  const script = bundled.outputFiles[0].contents
  const listener = createServer((request, response) => {
    const isScript = request.url === '/editors.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html').end(isScript ? script : EDITORS)
  })
  t.after(() => new Promise(resolve => { listener.close(resolve); listener.closeAllConnections() }))
  await new Promise(resolve => listener.listen(0, '127.0.0.1', resolve))
  return (server, editor, name, user) => `http://127.0.0.1:${listener.address().port}/?${new URLSearchParams({ server: server.wsUrl, editor, name, user })}`
}
