import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { createNode, type Device } from '../src/index.ts'
import { echo, type Invited, type Ready } from './answering-device.ts'

/**
 * How fast messages are between two devices, a process each, on the loopback interface. Durable ones beside what the disk alone
 * allows: the same texts written to one SQLite database, copied to a second one and deleted from the first, with as many commits.
 * Typed requests beside as many bytes there and back over bare TCP, in alternating rounds.
 *
 *     npm run bench:messages [-- durable|requests [COUNT]]
 */
const what = process.argv[2] ?? 'all'
const count = Number(process.argv[3] ?? 10_000)
/** Messages that are sent without waiting for the ones before. */
const atOnce = 1_000
/** As many travel in one delivery. */
const inOneDelivery = 256
/** Requests under way at a time. */
const inFlight = 64
const rounds = 5
const loopback = process.platform === 'darwin' ? 'lo0' : 'lo'

const directory = await mkdtemp(join(tmpdir(), 'spacedock-bench-'))
const alice = await createNode({
  dataDir: join(directory, 'alice'),
  name: 'alice',
  interfaces: [loopback],
  mdns: false,
})
const bob = fork(fileURLToPath(new URL('answering-device.ts', import.meta.url)), [
  join(directory, 'bob'),
  loopback,
])
const bobExits = once(bob, 'exit')
try {
  const invitation = await alice.pair()
  const invited: Invited = { words: invitation.words, peers: alice.status().listen }
  bob.send(invited)
  const [{ tcpPort }] = (await once(bob, 'message')) as [Ready]
  const device = await invitation.paired
  if (what !== 'durable') await measureRequests(device, tcpPort)
  if (what !== 'requests') await measureDurable(device)
} finally {
  await alice.close()
  bob.disconnect()
  await bobExits
  await rm(directory, { recursive: true, force: true })
}

async function measureRequests(device: Device, tcpPort: number): Promise<void> {
  const socket = connect({ port: tcpPort, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  for (const bytes of [32, 1024]) {
    const text = 'x'.repeat(bytes)
    const request = async (): Promise<void> => void (await device.request(echo, text))
    const raw = rawEcho(socket, Buffer.from(text))
    for (const together of [1, inFlight]) {
      const [ours, tcp]: [number[], number[]] = [[], []]
      // The first round warms up.
      for (let round = 0; round <= rounds; round++) {
        tcp.push(await rate(count, () => keepUp(together, raw)))
        ours.push(await rate(count, () => keepUp(together, request)))
      }
      reportRequests(`${bytes} B, ${together} at a time`, median(ours.slice(1)), median(tcp.slice(1)))
    }
  }
  socket.destroy()
}

/** Makes `count` round trips, so many at a time. */
async function keepUp(together: number, roundTrip: () => Promise<void>): Promise<void> {
  let left = count
  const one = async (): Promise<void> => {
    while (left-- > 0) await roundTrip()
  }
  await Promise.all(Array.from({ length: together }, one))
}

/** Sends the bytes and resolves when as many have come back; in order, so the first that waits is served first. */
function rawEcho(socket: Socket, bytes: Buffer): () => Promise<void> {
  const waiting: (() => void)[] = []
  let arrived = 0
  socket.removeAllListeners('data')
  socket.on('data', (chunk) => {
    for (arrived += chunk.length; arrived >= bytes.length; arrived -= bytes.length) waiting.shift()?.()
  })
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve)
      socket.write(bytes)
    })
}

function reportRequests(what: string, ours: number, tcp: number): void {
  const [oursUs, tcpUs] = [1e6 / ours, 1e6 / tcp].map((time) => time.toFixed(1))
  console.log(
    `requests of ${what}: ${Math.round(ours)} a second (${oursUs} us); bare TCP ${Math.round(tcp)} (${tcpUs} us): ` +
      `${(ours / tcp).toFixed(2)} of it, ${(tcp / ours).toFixed(1)} times as long`,
  )
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN
}

async function measureDurable(device: Device): Promise<void> {
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
