import { randomBytes } from 'node:crypto'
import type { KadDHT } from '@libp2p/kad-dht'
import { publicDhtClient, type DhtClient } from '../src/network/dht/dht-client.ts'
import { publicDhtProtocol } from '../src/network/dht/dht-protocols.ts'
import { dhtNode, findNeighbours, testRecord, type DhtNode } from '../test/network/dht/dht-network.ts'
import { until } from '../test/network/real-hosts.ts'

export type DhtKind = 'spacedock' | 'hyperdht'

/** Medians over the rounds; every round with a publisher and a reader that have only just joined, and a record of its own. */
export interface DhtFigures {
  publishMs: number
  /** Nodes that have the record. */
  copies: number
  /** From the start of the lookup to the first valid record. */
  firstRecordMs: number
  /** The same once more, over connections that are open by then. */
  againMs: number
  /** Requests of a lookup that runs to its end. */
  queriesPerLookup: number
  /** Growth of the process' resident memory by all nodes, divided by their number. */
  memoryPerNodeMb: number
  /** Until all nodes know each other well enough. */
  startSeconds: number
}

interface Round {
  publishMs: number
  copies: number
  firstRecordMs: number
  againMs: number
  queriesPerLookup: number
}

interface Network {
  round(): Promise<Round>
  stop(): Promise<void>
}

/** Network that is too large to be asked whole: a private one never is. */
const walked = { network: 'public', privateAddresses: true } as const

const [kind, size = '', rounds = ''] = process.argv.slice(2)
const before = residentMb()
const startedAt = performance.now()
const network = await (kind === 'hyperdht' ? hyperdht(Number(size)) : spacedock(Number(size)))
const startSeconds = (performance.now() - startedAt) / 1_000
const memoryPerNodeMb = (residentMb() - before) / Number(size)
const all: Round[] = []
for (let round = 0; round < Number(rounds); round++) all.push(await network.round())
const figures: DhtFigures = {
  publishMs: median(all.map(({ publishMs }) => publishMs)),
  copies: median(all.map(({ copies }) => copies)),
  firstRecordMs: median(all.map(({ firstRecordMs }) => firstRecordMs)),
  againMs: median(all.map(({ againMs }) => againMs)),
  queriesPerLookup: median(all.map(({ queriesPerLookup }) => queriesPerLookup)),
  memoryPerNodeMb,
  startSeconds,
}
console.log(JSON.stringify(figures))
await network.stop()
// What either library still has running is of no interest any more.
process.exit(0)

async function spacedock(count: number): Promise<Network> {
  const servers = [await dhtNode(walked)]
  const bootstrap = servers[0]?.libp2p.getMultiaddrs() ?? []
  while (servers.length < count) {
    const next = Math.min(5, count - servers.length)
    const joined = await Promise.all(Array.from({ length: next }, async () => enter('server')))
    servers.push(...joined)
  }
  // Most came when there were few to know: as they do every few minutes, they look for their neighbours once more.
  // One that is not done in time has found some nevertheless.
  for (const node of servers) await Promise.allSettled([findNeighbours(node)])

  async function enter(mode: 'client' | 'server'): Promise<DhtNode> {
    const node = await dhtNode({ ...walked, mode })
    await persistently(async () => node.libp2p.dial(bootstrap))
    await until(() => node.client.nodes > 0, 'it knows a node', 180_000)
    // As it would by itself after half a second, and as hyperdht's nodes do when they start.
    if (mode === 'client') await persistently(async () => findNeighbours(node))
    return node
  }

  return {
    async round() {
      const [publisher, reader] = [await enter('client'), await enter('client')]
      const keys = { signingSeed: randomBytes(32), recordKey: randomBytes(32) }
      const { routingKey, value } = await testRecord(1n, { keys })
      const counted = countQueries(reader)
      const publishing = performance.now()
      const copies = await publisher.client.publish(value, routingKey, {
        signal: AbortSignal.timeout(60_000),
      })
      const publishMs = performance.now() - publishing
      const firstRecordMs = await firstRecord(counted.client, routingKey)
      const queriesPerLookup = counted.queries()
      const againMs = await firstRecord(reader.client, routingKey)
      await Promise.all([publisher.libp2p.stop(), reader.libp2p.stop()])
      return { publishMs, copies, firstRecordMs, againMs, queriesPerLookup }
    },
    async stop() {
      await Promise.all(servers.map(async ({ libp2p }) => libp2p.stop()))
    },
  }
}

/** With hundreds of nodes in one process, some exchange always takes longer than its patience. */
async function persistently<Result>(work: () => Promise<Result>, tries = 10): Promise<Result> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (--tries === 0) throw error
    }
  }
}

/** Lets the lookup run to its end, and returns when it yielded its first record. */
async function firstRecord(client: DhtClient, routingKey: Uint8Array): Promise<number> {
  const startedAt = performance.now()
  let firstMs = Number.NaN
  for await (const _ of client.lookup(routingKey, { signal: AbortSignal.timeout(60_000) })) {
    if (Number.isNaN(firstMs)) firstMs = performance.now() - startedAt
  }
  return firstMs
}

/** A client of the same DHT that counts the requests it sends. */
function countQueries({ libp2p, dht }: DhtNode): { client: DhtNode['client']; queries: () => number } {
  let queries = 0
  const counting = new Proxy(dht, {
    get(target, name) {
      if (name !== 'get') return Reflect.get(target, name) as unknown
      const get: KadDHT['get'] = (key, options) => counted(target.get(key, options))
      return get
    },
  })
  async function* counted(events: ReturnType<KadDHT['get']>): ReturnType<KadDHT['get']> & AsyncGenerator {
    for await (const event of events) {
      if (event.name === 'SEND_QUERY') queries++
      yield event
    }
  }
  const host = {
    services: { dht: counting },
    addEventListener: libp2p.addEventListener.bind(libp2p),
    removeEventListener: libp2p.removeEventListener.bind(libp2p),
  }
  return { client: publicDhtClient(host, publicDhtProtocol), queries: () => queries }
}

async function hyperdht(count: number): Promise<Network> {
  const { default: DHT } = await import('hyperdht')
  const { default: createTestnet } = await import('hyperdht/testnet.js')
  const testnet = await createTestnet(count)
  return {
    async round() {
      const [publisher, reader] = [testnet.createNode(), testnet.createNode()]
      await Promise.all([publisher.fullyBootstrapped(), reader.fullyBootstrapped()])
      const keyPair = DHT.keyPair(randomBytes(32))
      const publishing = performance.now()
      // The largest that it takes; ours are of 1,590 bytes.
      const { closestNodes } = await publisher.mutablePut(keyPair, randomBytes(900))
      const publishMs = performance.now() - publishing
      const looking = performance.now()
      const first = await reader.mutableGet(keyPair.publicKey, { latest: false })
      const firstRecordMs = first === null ? Number.NaN : performance.now() - looking
      const sent = reader.stats.requests.total
      await reader.mutableGet(keyPair.publicKey)
      const queriesPerLookup = reader.stats.requests.total - sent
      const again = performance.now()
      await reader.mutableGet(keyPair.publicKey, { latest: false })
      const againMs = performance.now() - again
      await Promise.all([publisher.destroy(), reader.destroy()])
      return { publishMs, copies: closestNodes.length, firstRecordMs, againMs, queriesPerLookup }
    },
    stop: async () => {},
  }
}

function residentMb(): number {
  globalThis.gc?.()
  return process.memoryUsage().rss / 2 ** 20
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
