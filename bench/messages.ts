import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createNode, type SpacedockNode } from '../src/index.ts'

/**
 * How fast durable messages are, between two real nodes on the loopback interface, beside what the disk alone allows: the same
 * texts written to one SQLite database, copied to a second one and deleted from the first, with as many commits.
 *
 *     npm run bench:messages [-- MESSAGES]
 */
const count = Number(process.argv[2] ?? 10_000)
/** Messages that are sent without waiting for the ones before. */
const atOnce = 1_000
/** As many travel in one delivery. */
const inOneDelivery = 256
const loopback = process.platform === 'darwin' ? 'lo0' : 'lo'

const directory = await mkdtemp(join(tmpdir(), 'spacedock-bench-'))
const alice = await startNode('alice')
const bob = await startNode('bob')
try {
  const invitation = await alice.pair()
  await bob.join(invitation.words, { peers: alice.status().listen })
  const device = await invitation.paired
  await device.send('warm')

  const alone = Math.ceil(count / 10)
  const oneByOne = await rate(alone, async () => {
    for (let number = 0; number < alone; number++) await device.send(`note ${number}`)
  })
  report('one after the other', alone, oneByOne, await rate(alone, () => writeAlone(alone, 1, 1)))
  const together = await rate(count, async () => {
    for (let first = 0; first < count; first += atOnce) {
      const numbers = Array.from({ length: Math.min(atOnce, count - first) }, (_, index) => first + index)
      await Promise.all(numbers.map((number) => device.send(`note ${number}`)))
    }
  })
  report(
    `${atOnce} at once`,
    count,
    together,
    await rate(count, () => writeAlone(count, atOnce, inOneDelivery)),
  )
} finally {
  await Promise.all([alice.close(), bob.close()])
  await rm(directory, { recursive: true, force: true })
}

function report(what: string, messages: number, ours: number, diskAlone: number): void {
  const share = (ours / diskAlone).toFixed(2)
  console.log(
    `${what}: ${messages} messages, ${Math.round(ours)} a second; the disk alone ${Math.round(diskAlone)}: ${share} of it`,
  )
}

/** A second. */
async function rate(messages: number, work: () => Promise<void> | void): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (messages * 1_000) / (performance.now() - startedAt)
}

/** Entered in transactions of `entered` rows, received and deleted in ones of `received`. */
function writeAlone(messages: number, entered: number, received: number): void {
  const [outbox, inbox] = ['outbox', 'inbox'].map((name) => {
    const database = new DatabaseSync(join(directory, `${name}-${messages}.db`))
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    database.exec('CREATE TABLE messages (sequence INTEGER PRIMARY KEY, id TEXT UNIQUE, body BLOB)')
    return database
  })
  if (outbox === undefined || inbox === undefined) return
  const insertions = [outbox, inbox].map((one) =>
    one.prepare('INSERT INTO messages (id, body) VALUES (?, ?)'),
  )
  const removal = outbox.prepare('DELETE FROM messages WHERE id = ?')
  for (let first = 0; first < messages; first += entered) {
    const end = Math.min(messages, first + entered)
    commit(outbox, first, end, (id) => insertions[0]?.run(id, Buffer.from(`note of ${id}`)))
    for (let next = first; next < end; next += received) {
      const last = Math.min(end, next + received)
      commit(inbox, next, last, (id) => insertions[1]?.run(id, Buffer.from(`note of ${id}`)))
      commit(outbox, next, last, (id) => removal.run(id))
    }
  }
  outbox.close()
  inbox.close()
}

function commit(database: DatabaseSync, first: number, end: number, work: (id: string) => void): void {
  database.exec('BEGIN IMMEDIATE')
  for (let number = first; number < end; number++) work(`id-${number}`)
  database.exec('COMMIT')
}

async function startNode(name: string): Promise<SpacedockNode> {
  return createNode({
    dataDir: join(directory, name),
    name,
    interfaces: [loopback],
    mdns: false,
    // Nobody takes messages out, and those that a full inbox refuses say nothing of the speed.
    messages: { inboxMessages: 10 * count },
  })
}
