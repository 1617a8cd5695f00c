// How the page is built. The same input gives the same bytes, wherever it lies.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { licences } from './build/licences.mjs'

const here = dirname(fileURLToPath(import.meta.url))

/** CodeMirror writes its styles into a style element, which the content security policy forbids; an adopted sheet it allows. */
const adoptedStyles = {
  name: 'adopted-styles',
  transform (code, id) {
    if (!/style-mod[\\/]src[\\/]style-mod\.js$/.test(id)) return null
    const adopted = code.replace('if (!root.head && root.adoptedStyleSheets', 'if (root.adoptedStyleSheets')
    if (adopted === code) throw new Error('style-mod has changed: see to it that CodeMirror adopts its style sheets')
    return { code: adopted, map: null }
  }
}

/** A pane stands in the page twice: as the first one, there at first paint, and as the template of the second. */
const panes = {
  name: 'panes',
  transformIndexHtml: {
    order: 'pre',
    handler: html => html.replaceAll('<!-- pane -->', () => readFileSync(join(here, 'src/pane.html'), 'utf8'))
  }
}

export default defineConfig({
  root: here,
  base: './',
  publicDir: false,
  plugins: [adoptedStyles, panes, licences],
  resolve: {
    alias: { 'quire-client': join(here, '../client/src/index.ts') },
    dedupe: ['yjs', 'lib0', 'y-protocols']
  },
  server: { fs: { allow: [join(here, '..')] } },
  build: {
    target: ['chrome111', 'firefox114', 'safari16.4'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false
  }
})
