// The chat of the package's examples, as two people in two terminals use it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { admin, guarded, pass } from './cases/lib/access.mjs'
import { waitFor } from './lib/client.mjs'

const here = dirname(fileURLToPath(import.meta.url))

/** A terminal in the chat. */
function sit (t, folder, server, name) {
  const child = spawn(process.execPath, [join(folder, 'chat.mjs'), server.url, 'lobby', name, pass(name.toLowerCase(), 'write')], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const terminal = { lines: [], child, type: text => child.stdin.write(text) }
  child.stdout.setEncoding('utf8').on('data', text => terminal.lines.push(...text.split('\n').filter(line => line !== '')))
  terminal.sees = line => waitFor(() => terminal.lines.includes(line), 10_000, () => `${line} among ${JSON.stringify(terminal.lines)}`)
  return terminal
}

test('two people chat, see each other come, type and go, and one is notified', async t => {
  const server = await guarded(t)
  // Beside the packages that it imports.
  const folder = mkdtempSync(join(here, 'node_modules', '.chat-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  copyFileSync(join(here, '../../client/examples/chat.mjs'), join(folder, 'chat.mjs'))
  const ada = sit(t, folder, server, 'Ada')
  ada.type('hello\n')
  await ada.sees('Ada: hello')
  const bob = sit(t, folder, server, 'Bob')
  await bob.sees('Ada: hello')
  await bob.sees('* here: Ada')
  await ada.sees('* here: Bob')
  bob.type('/typing\n')
  await ada.sees('* Bob is typing')
  bob.type('hi @ada\n')
  await ada.sees('Bob: hi @ada')
  await ada.sees('* nobody is typing')
  await admin(server, 'POST', '/v1/users/ada/notifications', { body: 'Bob mentioned you' })
  await ada.sees('* notification: Bob mentioned you')
  assert.ok(!bob.lines.some(line => line.includes('notification')))
  // At once, so that the words and the leave are on their way together.
  bob.type('bye\n/quit\n')
  await ada.sees('Bob: bye')
  await ada.sees('* here: nobody else')
  ada.type('/quit\n')
  for (const { child } of [bob, ada]) await waitFor(() => child.exitCode === 0, 5_000, 'the end')
})
