import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNode, type SpacedockNode } from '../src/index.ts'

/**
 * How fast durable messages are, between two real nodes on the loopback interface:
 *
 *     node --disable-warning=ExperimentalWarning bench/messages.ts [MESSAGES]
 */
const count = Number(process.argv[2] ?? 10_000)
/** Messages that are sent without waiting for the ones before. */
const atOnce = 1_000

const directories: string[] = []
const alice = await startNode('alice')
const bob = await startNode('bob')
try {
  const invitation = await alice.pair()
  await bob.join(invitation.words, { peers: alice.status().listen })
  const device = await invitation.paired
  await device.send('warm')

  await measure('one after the other', Math.ceil(count / 10), async (messages) => {
    for (let number = 0; number < messages; number++) await device.send(`note ${number}`)
  })
  await measure(`${atOnce} at once`, count, async (messages) => {
    for (let first = 0; first < messages; first += atOnce) {
      const numbers = Array.from({ length: Math.min(atOnce, messages - first) }, (_, index) => first + index)
      await Promise.all(numbers.map((number) => device.send(`note ${number}`)))
    }
  })
} finally {
  await Promise.all([alice.close(), bob.close()])
  for (const directory of directories) await rm(directory, { recursive: true, force: true })
}

/** From the first call of `send` to the receiver's last receipt. */
async function measure(
  what: string,
  messages: number,
  send: (messages: number) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now()
  await send(messages)
  const seconds = (performance.now() - startedAt) / 1000
  const rate = Math.round(messages / seconds)
  console.log(`${what}: ${messages} messages in ${seconds.toFixed(2)} s, ${rate} a second`)
}

async function startNode(name: string): Promise<SpacedockNode> {
  const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-bench-'))
  directories.push(dataDir)
  return createNode({ dataDir, name, interfaces: ['lo'], mdns: false })
}
