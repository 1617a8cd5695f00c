// Puts the package of this repository where the tests import it from, as a copy: linked, it would bring a second yjs.

import { cpSync, existsSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const source = join(here, '../../../client')
const target = join(here, '../node_modules/quire-client')

if (!existsSync(join(source, 'dist/index.js'))) throw new Error('the package is not built: npm ci --prefix client, npm run build --prefix client')
rmSync(target, { recursive: true, force: true })
for (const part of ['package.json', 'dist']) cpSync(join(source, part), join(target, part), { recursive: true })
