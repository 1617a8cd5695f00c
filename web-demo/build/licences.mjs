// The licences of what is bundled, as a file of the page: most ask to go along with every copy.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of the package that a module belongs to, and its name; `undefined` for our own. */
function packageOf (id) {
  const [, folder, name] = /^\0?(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/.exec(id) ?? []
  return folder && existsSync(join(folder, 'package.json')) ? { folder, name: name.replaceAll('\\', '/') } : undefined
}

function licenceOf (folder) {
  const file = readdirSync(folder).sort().find(name => /^licen[cs]e(\.(md|txt))?$/i.test(name))
  const { license, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const text = file ? readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim() : `Licence: ${license}`
  return { version, text }
}

export const licences = {
  name: 'licences',
  generateBundle (_options, bundle) {
    const packages = new Map()
    for (const chunk of Object.values(bundle)) {
      for (const id of chunk.type === 'chunk' ? chunk.moduleIds : []) {
        const found = packageOf(id)
        if (found) packages.set(found.name, found.folder)
      }
    }
    /** Many share one text. */
    const texts = new Map()
    for (const [name, folder] of [...packages].sort(([a], [b]) => a < b ? -1 : 1)) {
      const { version, text } = licenceOf(folder)
      texts.set(text, [...texts.get(text) ?? [], `${name} ${version}`])
    }
    if (texts.size === 0) throw new Error('no package was found in the bundle')
    const source = [...texts].map(([text, names]) => `${names.join(', ')}\n\n${text}\n`).join(`\n${'-'.repeat(80)}\n\n`)
    this.emitFile({ type: 'asset', name: 'licences.txt', source: `The page of Quire is made with these packages.\n\n${source}` })
  }
}
