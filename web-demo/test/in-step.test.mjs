// What the server is compiled with is what this source gives, byte for byte.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { buildPage } from '../build/page.mjs'

const assets = join(dirname(fileURLToPath(import.meta.url)), '../../crates/server/assets')
const REMEDY = 'run npm run build in web-demo and commit what it has written'

test('the page in the binary is built from this source', async () => {
  const { files, sums } = await buildPage()
  const built = readFileSync(join(assets, 'built.rs'), 'utf8')
  const names = [...files.keys()].map(path => path.replace('assets/', ''))
  const committed = readdirSync(assets).filter(name => /\.(br|gz)$/.test(name)).sort()
  assert.deepEqual(committed, names.flatMap(name => [`${name}.br`, `${name}.gz`]).sort(), REMEDY)
  for (const [path, bytes] of files) {
    const name = path.replace('assets/', '')
    for (const [kind, unpack] of [['br', brotliDecompressSync], ['gz', gunzipSync]]) {
      assert.ok(unpack(readFileSync(join(assets, `${name}.${kind}`))).equals(bytes), `${name}.${kind} is not what the source gives: ${REMEDY}`)
    }
    assert.ok(built.includes(`name: "${name}"`), `built.rs lacks ${name}: ${REMEDY}`)
  }
  for (const sum of Object.values(sums)) assert.ok(built.includes(`"${sum}"`), `built.rs lacks the sum ${sum}: ${REMEDY}`)
})

test('each editor comes in a file of its own, and the first view needs little', async () => {
  const { files } = await buildPage()
  const size = name => [...files].filter(([path]) => path.startsWith(`assets/${name}-`)).reduce((sum, [, bytes]) => sum + compressed(bytes), 0)
  for (const view of ['write', 'code', 'notes', 'board']) assert.ok(size(view) > 0, `no file of its own for ${view}`)
  const shell = compressed(files.get('index.html')) + size('index') + size('yjs')
  assert.ok(compressed(files.get('index.html')) < 14_000, 'the page itself fits the first flight of a connection')
  assert.ok(shell < 60_000, `what every view needs has ${shell} bytes`)
})

const compressed = bytes => gzipSync(bytes, { level: 9 }).length
