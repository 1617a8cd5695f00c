// O-30 Any UTF-8 name, slashes included, is the same document on every transport, and no two names are one document.
//
// Fault: rooms with slash, space or non-ASCII names gave 404, or one name became two documents depending on the client.
// The short and the long form are the same.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as Y from 'yjs'
import { openClient, serverCopy } from '../lib/client.mjs'
import * as frames from '../lib/frames.mjs'
import { start } from '../lib/server.mjs'
import { confirmed } from './lib/room.mjs'
import { limit } from './lib/size.mjs'
import { transports } from './lib/transports.mjs'
import { getAt, upgradeAt } from './lib/wire.mjs'

const LONGEST = 255

/** name -> paths (behind /ws/ or /) that mean it, by the rule: percent-decode the rest of the path once, nothing else. */
const NAMES = {
  a: ['a', '%61', 'a?x', 'a?x=1?y=2'],
  A: ['A', '%41'],
  'a/b': ['a/b', 'a%2Fb', 'a%2fb', '%61%2F%62'],
  'a/b/c': ['a/b/c', 'a%2Fb/c'],
  'a b': ['a%20b'],
  'a+b': ['a+b', 'a%2Bb'],
  'r\u00e4um-\u2602': ['r%C3%A4um-%E2%98%82', 'r%c3%a4um-%e2%98%82'],
  'ra\u0308um-\u2602': ['ra%CC%88um-%E2%98%82'],
  '%41': ['%2541'],
  'a%2Fb': ['a%252Fb'],
  'a?x': ['a%3Fx'],
  'a#x': ['a%23x'],
  '.': ['.', '%2E', '%2e'],
  '..': ['..', '%2E%2E'],
  'a/..': ['a/..', 'a/%2e%2e', 'a%2F..'],
  'a/./b': ['a/./b', 'a%2F.%2Fb'],
  'a//b': ['a//b', 'a%2F%2Fb', 'a/%2Fb'],
  'a/': ['a/', 'a%2F'],
  'a\\b': ['a%5Cb'],
  'a;b=c&d': ['a;b=c&d', 'a%3Bb%3Dc%26d'],
  '\u{1F468}\u200D\u{1F469}': ['%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9'],
  ' a': ['%20a'],
  ['\u6f22'.repeat(LONGEST / 3)]: [encodeURIComponent('\u6f22'.repeat(LONGEST / 3))]
}

/** First parts of the server's own paths. As names they are documents at /ws/, and at / too unless the server says where. */
const OWN = ['assets', 'check_store', 'd', 'd/x', 'doc', 'doc/x', 'healthz', 'hocuspocus', 'metrics', 'ready', 'readyz', 'v1', 'v1/docs/x/content', 'ws', 'ws/x', 'index.html']

/** Paths that are no name: 400 on every transport. */
const BAD = {
  'a bad escape': ['%zz', 'a%', 'a%2', 'a%g1/b'],
  'no UTF-8': ['%FF', 'a%C3', '%ED%A0%80'],
  'a control character': ['a%00', 'a%0Ab', '%1F', '%7F'],
  'too long': ['x'.repeat(LONGEST + 1), encodeURIComponent('\u6f22'.repeat(LONGEST / 3) + 'x')]
}

/** The provider appends a name as it is: these names need no escape in a URL, and nothing resolves them away. */
const plain = name => /^[\w+/-]+$/.test(name) && !/\/\/|\/$/.test(name)

/** Sets one key in the map "ways" of a document, and waits until that is stored. */
async function mark (raw, key) {
  await raw.fence()
  const doc = new Y.Doc()
  doc.getMap('ways').set(key, true)
  const update = Y.encodeStateAsUpdate(doc)
  await raw.send(frames.update(update))
  await confirmed(raw, update)
  raw.drop()
}

const sorted = list => [...list].sort()

describe('O-30 document names', () => {
  test('O-30 one name is one document on every transport, and keeps its content over a restart', limit(120_000, 120_000), async t => {
    const server = await start({ t })
    const expected = new Map(Object.keys(NAMES).map(name => [name, []]))
    for (const [name, paths] of Object.entries(NAMES)) {
      for (const path of paths) {
        for (const prefix of ['/ws/', '/']) {
          const key = `raw ${prefix}${path}`
          expected.get(name).push(key)
          const raw = await upgradeAt(server, prefix + path).catch(error => assert.fail(`${key}: ${error.message}`))
          await mark(raw, key)
        }
      }
      // As the provider's documentation says: the name is put into the URL as it is, or encoded by the application.
      for (const [i, transport] of transports.entries()) {
        if (/^\.\.?$/.test(name)) continue // an encoded dot is one unreserved character, which every URL class resolves
        for (const raw of plain(name) ? [false, true] : [false]) {
          const key = `provider ${i} ${raw ? 'raw' : 'encoded'}`
          const client = transport.open(server, name, { t, raw })
          await client.waitSynced()
          client.doc.getMap('ways').set(key, true)
          expected.get(name).push(key)
          const reader = openClient(server, name, { t })
          await reader.waitSynced()
          await reader.waitEqual(client)
          client.destroy()
          reader.destroy()
        }
      }
    }

    const check = async when => {
      for (const [name, ways] of expected) {
        const path = encodeURIComponent(name).replaceAll('.', '%2E')
        const raw = await upgradeAt(server, `/ws/${path}`)
        const doc = new Y.Doc()
        Y.applyUpdate(doc, await raw.read())
        raw.drop()
        assert.deepEqual(sorted(doc.getMap('ways').keys()), sorted(ways), `the document ${JSON.stringify(name)} ${when}`)
        const { status, body } = await getAt(server, `/v1/docs/${path}/content?format=json&root=ways`)
        assert.equal(status, 200, `content of ${JSON.stringify(name)} ${when}: ${body.slice(0, 200)}`)
        const json = JSON.parse(body)
        assert.deepEqual(sorted(Object.keys(json.ways ?? json)), sorted(ways), `content of ${JSON.stringify(name)} over HTTP ${when}`)
      }
    }
    await check('at first')
    await server.restart('SIGTERM')
    await check('after a restart')
    assert.deepEqual(server.panics(), [])
  })

  test('O-30 a name that is also a path of the server is a document at /ws/, and never another one at /', limit(60_000, 60_000), async t => {
    const server = await start({ t })
    for (const name of OWN) {
      await mark(await upgradeAt(server, `/ws/${encodeURIComponent(name)}`), 'encoded')
      await mark(await upgradeAt(server, `/ws/${name}`), 'as it is')
      const ways = ['as it is', 'encoded']
      const short = await upgradeAt(server, `/${encodeURIComponent(name)}`).catch(error => error)
      if (name === 'hocuspocus') {
        // The endpoint of another dialect: a connection there is for no document yet.
        assert.equal(short.status, undefined, 'the endpoint of Hocuspocus clients')
        short.drop()
      } else if (short.status === undefined) {
        await mark(short, 'short')
        ways.push('short')
      } else if (name === 'ws') {
        assert.equal(short.status, 400, 'the prefix without a name')
      } else {
        assert.equal(short.status, 404, name)
        assert.match(short.body, /\/ws\//, `the answer to /${name} says where the document is`)
      }
      const { status, body } = await getAt(server, `/v1/docs/${encodeURIComponent(name)}/content?format=json&root=ways`)
      assert.equal(status, 200, `content of ${name}: ${body.slice(0, 200)}`)
      const json = JSON.parse(body)
      assert.deepEqual(sorted(Object.keys(json.ways ?? json)), sorted(ways), `content of ${name}`)
    }
    assert.deepEqual(server.panics(), [])
  })

  test('O-30 what is no name gets 400 on every transport', limit(60_000, 60_000), async t => {
    const server = await start({ t })
    for (const [why, paths] of Object.entries(BAD)) {
      for (const path of paths) {
        for (const prefix of ['/ws/', '/']) {
          await assert.rejects(upgradeAt(server, prefix + path).then(raw => raw.drop()), { status: 400 }, `${why}: an upgrade at ${prefix}${path.slice(0, 40)}`)
        }
        const segment = path.replaceAll('/', '%2F')
        assert.equal((await getAt(server, `/v1/docs/${segment}/content?format=json`)).status, 400, `${why}: content of ${segment.slice(0, 40)}`)
      }
    }
    await assert.rejects(upgradeAt(server, '/ws/').then(raw => raw.drop()), { status: 400 }, 'an upgrade with an empty name')
    assert.equal((await getAt(server, '/v1/docs//content?format=json')).status, 400, 'content of an empty name')
    assert.equal((await serverCopy(server, 'still here')).share.size, 0)
    assert.deepEqual(server.panics(), [])
  })

  test('O-30 a document that was never stored has no content, and asking does not make it', limit(60_000, 60_000), async t => {
    const server = await start({ t })
    assert.equal((await getAt(server, '/v1/docs/nobody%2Fhere/content?format=json')).status, 404)
    assert.equal((await getAt(server, '/v1/docs/nobody%2Fhere/content?format=json')).status, 404)
  })
})
