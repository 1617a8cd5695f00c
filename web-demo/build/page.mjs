// Builds the page: the files of it, by the path each is served at.

import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const here = join(dirname(fileURLToPath(import.meta.url)), '..')

/**
 * @typedef {object} Page
 * @property {Map<string, Buffer>} files by path, `index.html` and `assets/..`
 * @property {{ script: string, style: string }} sums of what stands in the page itself, for its content security policy
 */

/** @returns {Promise<Page>} */
export async function buildPage () {
  const folder = mkdtempSync(join(tmpdir(), 'quire-page-'))
  try {
    await build({ configFile: join(here, 'vite.config.mjs'), logLevel: 'warn', build: { outDir: folder, emptyOutDir: true } })
    const files = new Map(readdirSync(join(folder, 'assets')).sort().map(name => [`assets/${name}`, readFileSync(join(folder, 'assets', name))]))
    const { html, sums } = inline(readFileSync(join(folder, 'index.html'), 'utf8'), files)
    files.set('index.html', Buffer.from(html))
    return { files, sums }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Puts the style of the shell and the script of before the first paint into the page, so that it is painted after one answer. */
function inline (html, files) {
  const link = /[ \t]*<link rel="stylesheet"[^>]*href="\.\/(assets\/[^"]+)"[^>]*>/
  const [found, path] = link.exec(html) ?? []
  if (!path) throw new Error('the page has no style')
  const style = files.get(path).toString().trim()
  files.delete(path)
  const licences = [...files.keys()].find(path => path.startsWith('assets/licences-'))
  if (!licences) throw new Error('the licences are missing')
  const views = Object.fromEntries(['write', 'code', 'notes', 'board'].map(view => {
    const path = [...files.keys()].find(path => path.startsWith(`assets/${view}-`) && path.endsWith('.js'))
    if (!path) throw new Error(`the view ${view} is no file of its own`)
    return [view, `./${path}`]
  }))
  const script = readFileSync(join(here, 'src/boot.js'), 'utf8').replace(/^\s*\/\/.*\n/gm, '').replace(/\s*\n\s*/g, '\n').trim()
    .replace(/^/, () => `var VIEWS = ${JSON.stringify(views)}\n`)
  const inlined = html.replace(found, () => `    <style>${style}</style>\n    <script>${script}</script>`)
    .replaceAll('LICENCES', licences)
    .replace(/ crossorigin/g, '')
    .replace(/^\s*\n/gm, '')
  return { html: inlined, sums: { script: sum(script), style: sum(style) } }
}

const sum = text => `sha256-${createHash('sha256').update(text).digest('base64')}`
