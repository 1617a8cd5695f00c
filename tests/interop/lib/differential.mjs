// Pushes a history through the server by hand-written frames and compares what readers get with a plain yjs document that was
// fed the same updates in the same order.

import * as Y from 'yjs'
import { differences, passiveDoc } from './compare.mjs'
import { edit } from './edits.mjs'
import { EMPTY_UPDATE } from './frames.mjs'
import { plainDocument, takePending } from './histories.mjs'
import { documentUrl, RawClient } from './raw.mjs'
import { Random } from './seed.mjs'
import { waitFor } from './wait.mjs'

/** What a reader of the server got is not what yjs holds. */
export class Difference extends Error {
  constructor (where, found) {
    super(`${where}: ${found.map(f => f.what).join(', ')} differ\n` +
      found.map(f => `  ${f.what}:\n    server: ${JSON.stringify(f.a)}\n    yjs:    ${JSON.stringify(f.b)}`).join('\n').slice(0, 6_000))
    this.name = 'Difference'
    this.found = found
  }
}

const same = (where, server, yjs) => {
  const found = differences(server, yjs)
  if (found.length > 0) throw new Difference(where, found)
}

/** The connections that push one history; each frame is sent by one of them, all in one total order. */
class Pusher {
  #senders = new Map()
  #last = null
  #fences = 0

  constructor (server, name, prefix, feed) {
    this.server = server
    this.url = documentUrl(server, name, { prefix })
    this.feed = feed
  }

  async #sender (number) {
    let sender = this.#senders.get(number)
    if (!sender) {
      sender = await RawClient.connect(this.url)
      await sender.step2(EMPTY_UPDATE)
      this.#senders.set(number, sender)
    }
    return sender
  }

  async push ({ sender: number, as, update }) {
    // Two connections race; a fence keeps the order that the plain document was fed in.
    if (this.#last !== null && this.#last !== number) await this.settle()
    this.#last = number
    const sender = await this.#sender(number)
    await (as === 'step2' ? sender.step2(update) : sender.update(update))
  }

  /** Waits until everything pushed so far is confirmed: a marker of its own, whose echo comes after the store's commit. */
  async settle () {
    if (this.#last === null) return
    const sender = await this.#sender(this.#last)
    const marker = new Y.Doc()
    marker.clientID = 2 ** 40 + this.#fences++
    marker.getArray('fence').push([1])
    const update = Y.encodeStateAsUpdate(marker)
    this.feed(update)
    sender.mark()
    await sender.update(update)
    await sender.next(message => (message.kind === 'update' || message.kind === 'step2') && holdsClient(message.payload, marker.clientID),
      20_000, 'the confirmation of a marker')
    this.#last = null
  }

  close () {
    for (const sender of this.#senders.values()) sender.drop()
    this.#senders.clear()
  }
}

/** For the environment of a server whose documents are seen to leave memory and to be compacted. */
export const TELLS_LIVES = { QUIRE_LOG: 'info,quire_server::doc::task=debug,quire_server::store=debug' }

/** Waits until a document that nobody is connected to has left memory. Wants a server that waits for nothing and TELLS_LIVES. */
async function retired (server, name) {
  // What the server says last of a document of this name; it may have left already.
  const last = () => server.logLines().findLast(line => line.includes(` document doc=${name} from=`)) ?? ''
  await waitFor(() => last().includes(' to=Gone'), 10_000, () => `${name} to leave memory; seen: ${last()}`, 2)
}

const holdsClient = (update, client) => Y.decodeUpdate(update).structs.some(struct => struct.id.client === client && !(struct instanceof Y.Skip))

/** A reader: a passive document on a raw connection that takes every update it is sent. */
class Reader {
  #taken = 0

  static async open (url, doc, random) {
    const raw = await RawClient.connect(url)
    const reader = new Reader(raw, doc, random)
    Y.applyUpdate(doc, await raw.read(Y.encodeStateVector(doc), 20_000))
    return reader
  }

  constructor (raw, doc, random) {
    this.raw = raw
    this.doc = doc
    this.random = random
  }

  /** Takes what was broadcast since. */
  take () {
    const { messages } = this.raw
    for (; this.#taken < messages.length; this.#taken++) {
      const { kind, payload } = messages[this.#taken]
      if (kind === 'update' || kind === 'step2') Y.applyUpdate(this.doc, payload)
    }
    takePending(this.doc)
    if (this.raw.bad.length > 0) throw new Error(`the server sent what cannot be read: ${this.raw.describe()}`)
  }

  /** Makes an edit of its own and sends it; returns the update. */
  async edit (clientId, uses) {
    const vector = Y.encodeStateVector(this.doc)
    this.doc.clientID = clientId
    this.doc.transact(() => {
      edit(this.doc, this.random, uses)
      this.doc.getText('text').insert(0, `edit by ${clientId} `)
    })
    const update = Y.encodeStateAsUpdate(this.doc, vector)
    await this.raw.update(update)
    return update
  }
}

/**
 * Runs one history. Resolves if everything is equal, rejects with a Difference if not.
 *
 * @param {import('./server.mjs').Server} server it is killed and started again where the history says so
 * @param {import('./histories.mjs').History} history
 * @param {{ name: string, prefix?: '/ws' | '', drop?: number, patience?: number }} options `drop`: the index of a step
 *   that is kept from the server only, to prove that a loss is seen; `patience`: how long to wait for broadcasts, in milliseconds
 */
export async function differential (server, history, { name, prefix = '/ws', drop, patience = 10_000 }) {
  const random = new Random(history.seed).fork(3)
  const fed = []
  const pusher = new Pusher(server, name, prefix, update => fed.push({ update }))
  const readers = []
  let witness
  const url = () => documentUrl(server, name, { prefix })
  try {
    // Was there from the beginning: knows all by what the server sent unasked, or after a hard end by the difference.
    witness = await Reader.open(url(), passiveDoc(), random)
    const deliver = async (steps, offset) => {
      for (const [i, step] of steps.entries()) {
        if (step.event) {
          await pusher.settle()
          pusher.close()
          witness.take()
          witness.raw.drop()
          await (step.event === 'restart' ? server.restart('SIGKILL') : retired(server, name))
          witness = await Reader.open(url(), witness.doc, random)
          continue
        }
        if (i + offset !== drop) await pusher.push(step)
        fed.push(step)
      }
      await pusher.settle()
    }
    const catchUp = (reader, yjs, where) =>
      waitFor(() => { reader.take(); return differences(reader.doc, yjs).length === 0 }, patience, where)
        .catch(() => { reader.take(); same(where, reader.doc, yjs) })
    const check = async when => {
      const plain = plainDocument(fed)
      await catchUp(witness, plain, `${when}, a reader from the beginning`)
      const fresh = await Reader.open(url(), passiveDoc(), random)
      readers.push(fresh)
      same(`${when}, a fresh reader`, fresh.doc, plain)
      const informed = await Reader.open(url(), plainDocument(fed.slice(0, random.int(0, fed.length))), random)
      readers.push(informed)
      same(`${when}, a half-informed reader`, informed.doc, plain)
      return { plain, fresh, informed }
    }

    await deliver(history.steps, 0)
    let { plain, fresh, informed } = await check(history.late.length > 0 ? 'with updates missing' : 'at the end')
    if (history.late.length > 0) {
      await deliver(history.late, history.steps.length);
      // The readers from before have been told of the late ones as they came.
      for (const reader of readers) {
        await catchUp(reader, plainDocument(fed), 'after the late updates, an earlier reader')
      }
      ({ plain, fresh, informed } = await check('after the late updates'))
    }

    // A further edit from each: everybody converges, by what the server sends unasked.
    // (Without the kinds whose author holds something else than what it writes: yjs keeps -0 and half pairs in memory.)
    const uses = kind => history.kinds.includes(kind) && !['oddNumbers', 'surrogates', 'jsonSurrogates'].includes(kind)
    for (const [reader, id] of [[fresh, 2 ** 41], [informed, 2 ** 41 + 1]]) Y.applyUpdate(plain, await reader.edit(id, uses))
    for (const reader of [fresh, informed, witness]) await catchUp(reader, plain, 'after further edits')
  } finally {
    pusher.close()
    witness?.raw.drop()
    for (const reader of readers) reader.raw.drop()
  }
}

/** Steps whose loss yjs itself would notice: leaving one out changes the outcome. */
export function essentialSteps (history) {
  const all = [...history.steps, ...history.late]
  const whole = plainDocument(all)
  return all.flatMap((step, i) => !step.event && differences(plainDocument(all.toSpliced(i, 1)), whole).length > 0 ? [i] : [])
}
