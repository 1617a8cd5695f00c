// Who is there, in tests: clients of users, a client in a process of its own, and listeners that have heard of them all.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { pass } from '../cases/lib/access.mjs'
import { listen, peopleOf } from './listen.mjs'
import { openQuire } from './quire.mjs'
import { waitFor } from './wait.mjs'

export const WAYS = ['sse', 'poll']

/** Listeners of both ways. */
export const everyWay = (server, path, options) => WAYS.map(way => listen(server, path, { ...options, way }))

/** A client of this user. */
export const join = (server, name, sub, options) => openQuire(server, name, { token: pass(sub, 'write'), ...options })

/** Waits until all of them know of these people and no others, each with so many tabs. */
export async function knows (listeners, expected, deadline) {
  const seen = listener => [...peopleOf(listener).values()].map(({ person, clients }) => `${person} ${clients.length}`).sort().join()
  for (const listener of listeners) {
    await waitFor(() => seen(listener) === [...expected].sort().join(), deadline, () => `${listener.way}: ${expected}, not ${seen(listener)}`)
  }
}

/** A process of its own with one client in the document, which types when it is told. */
export function typist (t, server, name, token) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./typist.mjs', import.meta.url)), server.url, name, token],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}
