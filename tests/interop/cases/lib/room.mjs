// What a room holds, when it has settled, and what the server has confirmed.

import * as Y from 'yjs'
import { RawClient, compare, differences, documentUrl, passiveDoc, serverCopy, waitFor } from '../../lib/client.mjs'
import { normaliseDeletes, updateDeletes, updateIds } from '../../lib/compare.mjs'
import { decode } from '../../lib/frames.mjs'
import { QUIET } from './size.mjs'
import { getAt } from './wire.mjs'

/** The server's answer to a reader that has nothing, in a document that only reads: for exact comparisons. */
export async function serverDocument (server, name, deadline = 15_000) {
  const raw = await RawClient.connect(documentUrl(server, name), { deadline })
  try {
    const doc = passiveDoc()
    Y.applyUpdate(doc, await raw.read(undefined, deadline))
    return doc
  } finally {
    raw.drop()
  }
}

/**
 * Waits until no client's document has changed for a while and all of them, and what a fresh stock client gets from the
 * server, are equal in content and state vector. Delete sets are left out by default: a reader of formatted text tidies
 * marks away by itself.
 */
export async function settle (server, name, clients, { deadline = 20_000, deletes = false, quiet = QUIET } = {}) {
  let changed = performance.now()
  const note = () => { changed = performance.now() }
  for (const { doc } of clients) doc.on('update', note)
  try {
    const [first, ...rest] = clients
    const unequal = () => rest.flatMap(client => differences(first.doc, client.doc, { deletes }))
    await waitFor(() => performance.now() - changed >= quiet && unequal().length === 0, deadline + quiet,
      () => `a settled room; differences: ${JSON.stringify(unequal()).slice(0, 2_000)}`, 50)
  } finally {
    for (const { doc } of clients) doc.off('update', note)
  }
  const copy = await serverCopy(server, name, { deadline })
  for (const client of clients) compare(client.doc, copy, `client ${client.clientId} and the server copy`, { deletes })
  return copy
}

/**
 * Everything a stock client receives from now on, message by message, over all its connections. A client of our package does not
 * get its edits back; of it `confirmed` asks the provider.
 */
export function tap (client) {
  const messages = []
  if (client.provider.unconfirmed !== undefined) return Object.assign(messages, { provider: client.provider })
  const attach = () => client.provider.ws?.on('message', data => {
    const frame = new Uint8Array(data)
    for (const message of decode(frame)) messages.push({ ...message, at: performance.now(), frame })
  })
  client.provider.on('status', ({ status }) => { if (status === 'connected') attach() })
  if (client.connected) attach()
  return messages
}

const ranges = ids => new Map(Object.entries(ids).map(([id, list]) => [Number(id), list.map(([clock, len]) => ({ clock, len }))]))

function covers (messages, wanted, read) {
  const seen = new Map()
  for (const { kind, payload } of messages) {
    if (kind !== 'update' && kind !== 'step2') continue
    for (const [id, list] of ranges(read(payload))) seen.set(id, [...(seen.get(id) ?? []), ...list])
  }
  const have = normaliseDeletes(seen)
  return Object.entries(wanted).every(([id, list]) => list.every(([clock, len]) =>
    (have[id] ?? []).some(([from, length]) => from <= clock && clock + len <= from + length)))
}

/**
 * Waits until everything in `update` has come back among `messages` (a raw client's, or a tap): the echo by which the
 * server says "on disk". Give only messages of a connection that sent the update.
 */
export async function confirmed (messages, update, deadline = 10_000) {
  if (messages.provider) return await waitFor(() => messages.provider.unconfirmed === 0, deadline, () => `${messages.provider.unconfirmed} edits to be confirmed`, 20)
  const [ids, deletes] = [updateIds(update), updateDeletes(update)]
  const list = messages.messages ?? messages
  await waitFor(() => covers(list, ids, updateIds) && covers(list, deletes, updateDeletes), deadline,
    () => `the echo of ${JSON.stringify(ids)} ${JSON.stringify(deletes)}`, 20)
}

/**
 * Makes `count` edits, each after the echo of the one before, so that each is an update of its own in the server's log: more
 * of them than the log may have before it is compacted.
 * @param {object[]} received a tap of this client
 */
export async function oneByOne (received, count, edit) {
  for (let i = 0; i < count; i++) {
    const before = received.length
    edit(i)
    await waitFor(() => received.slice(before).some(message => message.kind === 'update'), 10_000, `the echo of edit ${i}`, 1)
  }
}

/** More updates than the server leaves in a log when it loads a document. */
export const LONG_LOG = 600

/** For the options of a server whose compactions a case counts. */
export const tellCompactions = { env: { QUIRE_LOG: 'info,quire_server::store=debug' } }

/** Waits until the server has compacted this document so many times, in all its lives together. */
export function compacted (server, name, times, deadline = 15_000) {
  const lines = () => server.logLines().filter(line => / compacted /.test(line) && line.includes(`doc=${name} `))
  return waitFor(() => lines().length >= times, deadline, () => `${times} compactions of ${name}, got ${lines().length}`, 50)
}

/** The updates this document makes by itself, in order, whatever comes from elsewhere left out. */
export function recordOwn (client, log = []) {
  client.doc.on('update', (update, origin) => { if (origin !== client.provider) log.push(update) })
  return log
}

/** `GET /v1/docs/{doc}/content`. The name and the root are percent-encoded; resolves with {status, body}. */
export function httpContent (server, name, format, root) {
  const query = new URLSearchParams({ format, ...(root === undefined ? {} : { root }) })
  return getAt(server, `/v1/docs/${encodeURIComponent(name)}/content?${query}`)
}
