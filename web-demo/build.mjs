// Builds the page into crates/server/assets, and writes beside it the sums of everything that went in and came out, so
// that a test of the server can tell, without Node, whether the two are in step.
import { createHash } from 'node:crypto'
import { copyFile, readFile, readdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..')
const out = join(root, 'crates/server/assets')

await build({
  entryPoints: [join(here, 'src/app.js'), join(here, 'src/app.css')],
  outdir: out,
  bundle: true,
  minify: true,
  legalComments: 'none',
  format: 'iife',
  target: ['chrome100', 'firefox100', 'safari15.4'],
  logLevel: 'warning',
})
for (const file of ['index.html', 'icon.svg']) await copyFile(join(here, 'src', file), join(out, file))

const sources = (await readdir(join(here, 'src'))).sort().map(file => join(here, 'src', file))
const files = [
  ...['build.mjs', 'package.json', 'package-lock.json'].map(file => join(here, file)),
  ...sources,
  ...['app.css', 'app.js', 'icon.svg', 'index.html'].map(file => join(out, file)),
]
const lines = await Promise.all(files.map(async file =>
  `${createHash('sha256').update(await readFile(file)).digest('hex')}  ${relative(root, file).replaceAll('\\', '/')}\n`))
await writeFile(join(out, 'SOURCES'), lines.join(''))
