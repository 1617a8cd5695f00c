// What the authors write. Nobody deletes what another has written, so that what comes back to its author is its own.

const PASTE = 60_000
const LARGEST = 200_000

/** One edit of one author. @param {import('../lib/client.mjs').StockClient} client @param {import('../lib/seed.mjs').Random} random */
export function edit (client, random) {
  const { doc, clientId } = client
  const shared = doc.getText('text')
  const own = doc.getText(`of ${clientId}`)
  const chance = random.float()
  if (chance < 0.55) {
    shared.insert(random.int(0, shared.length), `${random.u32().toString(36)} `)
  } else if (chance < 0.7) {
    doc.getMap(`of ${clientId} by key`).set(`key ${random.int(0, 5)}`, random.u32())
  } else if (chance < 0.85) {
    own.insert(random.int(0, own.length), random.u32().toString(36).repeat(random.int(1, 20)))
  } else if (chance < 0.98 || own.length > LARGEST) {
    const from = random.int(0, own.length)
    own.delete(from, random.int(0, own.length - from))
  } else {
    own.insert(own.length, String.fromCharCode(97 + random.int(0, 25)).repeat(random.int(1, PASTE)))
  }
}
