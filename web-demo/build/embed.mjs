// Builds the page into crates/server/assets, compressed, with the list that the server is compiled with, and with the sums of
// everything that went in and came out, so that a test of the server can tell without Node whether the two are in step.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { buildPage } from './page.mjs'

const here = join(dirname(fileURLToPath(import.meta.url)), '..')
const root = join(here, '..')
const out = join(root, 'crates/server/assets')

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml', txt: 'text/plain; charset=utf-8' }

const brotli = bytes => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } })

const { files, sums } = await buildPage()
rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
const entries = []
let total = { plain: 0, gzip: 0, brotli: 0 }
for (const [path, bytes] of [...files].sort(([a], [b]) => a < b ? -1 : 1)) {
  const name = path.replace('assets/', '')
  const type = TYPES[name.split('.').pop()]
  if (!type) throw new Error(`no content type is known for ${name}`)
  const packed = { gz: gzipSync(bytes, { level: 9 }), br: brotli(bytes) }
  for (const [kind, one] of Object.entries(packed)) writeFileSync(join(out, `${name}.${kind}`), one)
  total = { plain: total.plain + bytes.length, gzip: total.gzip + packed.gz.length, brotli: total.brotli + packed.br.length }
  entries.push(`        Built {
            name: "${name}",
            content_type: "${type}",
            gzip: include_bytes!("${name}.gz"),
            brotli: include_bytes!("${name}.br"),
        },\n`)
}
writeFileSync(join(out, 'built.rs'), `// Made by \`npm run build\` in web-demo/.
BuiltPage {
    script: "${sums.script}",
    style: "${sums.style}",
    files: &[
${entries.join('')}    ],
}
`)

const walk = folder => readdirSync(folder, { withFileTypes: true }).flatMap(entry => entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)])
const sources = [...['package.json', 'package-lock.json', 'vite.config.mjs', 'index.html'].map(file => join(here, file)), ...walk(join(here, 'build')), ...walk(join(here, 'src'))]
const lines = [...sources, ...walk(out)].sort().map(file => {
  const bytes = readFileSync(file)
  return `${createHash('sha256').update(bytes).digest('hex')}  ${relative(root, file).replaceAll('\\', '/')}\n`
})
writeFileSync(join(out, 'SOURCES'), lines.join(''))
console.log(`${files.size} files: ${total.plain} bytes, ${total.gzip} by gzip, ${total.brotli} by brotli`)
