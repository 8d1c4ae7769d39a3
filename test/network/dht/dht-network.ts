import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper, type KadDHT, type KadDHTComponents } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { Libp2pRecord } from '@libp2p/record'
import { MemoryDatastore } from 'datastore-core'
import { Key, type Datastore } from 'interface-datastore'
import { createLibp2p, type Libp2p } from 'libp2p'
import { systemClock } from '../../../src/clock.ts'
import { publicDhtClient, type DhtClient } from '../../../src/network/dht/dht-client.ts'
import { privateDhtProtocol, publicDhtProtocol } from '../../../src/network/dht/dht-protocols.ts'
import { dhtService } from '../../../src/network/dht/dht-service.ts'
import { Members } from '../../../src/network/dht/members.ts'
import { privateDhtClient } from '../../../src/network/dht/private-dht-client.ts'
import type { RecordLimits } from '../../../src/network/dht/store-quota.ts'
import {
  encodeAddressRecord,
  recordRoutingKey,
  type AddressRecordKeys,
} from '../../../src/pairing/address-record.ts'
import { suite1 } from '../../../src/pairing/suite.ts'
import { until } from '../real-hosts.ts'

export interface DhtNode {
  libp2p: Libp2p
  dht: KadDHT
  client: DhtClient
}

export interface DhtNodeOptions {
  /** @default 'server' */
  mode?: 'client' | 'server'
  /** @default 'private' */
  network?: 'private' | 'public'
  limits?: RecordLimits
  /** Of the public network. */
  privateAddresses?: boolean
  /** Peer ids of the private network's nodes, which may become more. @default none */
  configured?: ReadonlySet<string>
  /** Another implementation of the DHT. */
  service?: (components: KadDHTComponents) => KadDHT
  datastore?: Datastore
}

/** A real libp2p host with a DHT on a loopback port of its own. */
export async function dhtNode(options: DhtNodeOptions = {}): Promise<DhtNode> {
  const { mode = 'server', network = 'private', limits, privateAddresses = false } = options
  const members = new Members(options.configured ?? new Set())
  const common = { mode, clock: systemClock, ...(limits === undefined ? {} : { limits }) }
  const own =
    network === 'private'
      ? dhtService({ ...common, network, members })
      : dhtService({ ...common, network, privateAddresses })
  const { service = own } = options
  const libp2p = await createLibp2p({
    ...(options.datastore === undefined ? {} : { datastore: options.datastore }),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping(), dht: service },
    connectionManager: {
      inboundConnectionThreshold: 10_000,
      maxIncomingPendingConnections: 1_000,
      reconnectRetries: 0,
      // Many nodes in one process are slow to answer.
      inboundUpgradeTimeout: 60_000,
      dialTimeout: 60_000,
    },
    connectionMonitor: { enabled: false },
  })
  const client =
    network === 'public' ? publicDhtClient(libp2p, publicDhtProtocol) : privateDhtClient(libp2p, members)
  return { libp2p, dht: libp2p.services.dht, client }
}

/**
 * Servers that know each other through the first one; all that was started is stopped when `use` is over. On a private network
 * every node has all servers configured.
 */
export async function withDht(
  servers: number,
  use: (network: {
    servers: DhtNode[]
    join: (options?: DhtNodeOptions) => Promise<DhtNode>
  }) => Promise<void>,
  options: DhtNodeOptions = {},
): Promise<void> {
  const nodes: DhtNode[] = []
  const configured = new Set<string>()
  const start = async (nodeOptions: DhtNodeOptions): Promise<DhtNode> => {
    const node = await dhtNode({ configured, ...nodeOptions })
    nodes.push(node)
    if (nodeOptions.mode !== 'client') configured.add(node.libp2p.peerId.toString())
    return node
  }
  const first = await start(options)
  /** Resolves when the new node can be asked, and ask. */
  const join = async (joinOptions: DhtNodeOptions = {}): Promise<DhtNode> => {
    const node = await start(joinOptions)
    await node.libp2p.dial(first.libp2p.getMultiaddrs())
    await until(() => node.client.nodes > 0, 'the new node knows a server', 20_000)
    return node
  }
  try {
    while (nodes.length < servers) {
      const next = Math.min(5, servers - nodes.length)
      await Promise.all(Array.from({ length: next }, async () => join(options)))
    }
    await use({ servers: nodes.slice(0, servers), join })
  } finally {
    await Promise.all(nodes.map(async ({ libp2p }) => libp2p.stop()))
  }
}

/** Asks who is close to it, as every node does shortly after its start and every few minutes. */
export async function findNeighbours({ libp2p, dht }: DhtNode): Promise<void> {
  const signal = AbortSignal.timeout(30_000)
  for await (const _ of dht.getClosestPeers(libp2p.peerId.toMultihash().bytes, { signal }));
}

/** A DHT server that checks nothing, and holds these values from the start. */
export async function permissive(
  values: { routingKey: Uint8Array; value: Uint8Array }[] = [],
  protocol = privateDhtProtocol,
): Promise<DhtNodeOptions> {
  const datastore = new MemoryDatastore()
  for (const { routingKey, value } of values) {
    const name = new Key(`/dht/record/${base32(routingKey)}`, false)
    await datastore.put(name, new Libp2pRecord(routingKey, value, new Date()).serialize())
  }
  const service = kadDHT({
    protocol,
    clientMode: false,
    peerInfoMapper: passthroughMapper,
    validators: { ipns: () => {} },
    selectors: { ipns: () => 0 },
    allowQueryWithZeroPeers: true,
    initialQuerySelfInterval: 500,
  })
  return { service, datastore }
}

export const testKeys: AddressRecordKeys = {
  signingSeed: new Uint8Array(32).fill(1),
  recordKey: new Uint8Array(32).fill(2),
}
export const testPeer = '12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss'

/** A record of the test keys, or of others, that every DHT server takes. */
export async function testRecord(
  sequence: bigint,
  { keys = testKeys, addresses = ['/ip4/192.0.2.1/tcp/4001'], validForMs = 48 * 3_600_000 } = {},
): Promise<{ routingKey: Uint8Array; value: Uint8Array }> {
  const validUntil = new Date(Date.now() + validForMs).toISOString()
  const nonce = new Uint8Array(32).fill(Number(sequence & 255n))
  const content = { peer: testPeer, addresses }
  const value = await encodeAddressRecord(suite1, keys, content, { sequence, validUntil, nonce })
  return { routingKey: await recordRoutingKey(keys), value }
}

/** What a lookup yields, all of it. */
export async function lookUp(
  client: DhtClient,
  routingKey: Uint8Array,
  timeoutMs = 20_000,
): Promise<Uint8Array[]> {
  const found: Uint8Array[] = []
  for await (const record of client.lookup(routingKey, { signal: AbortSignal.timeout(timeoutMs) }))
    found.push(record)
  return found
}

/** RFC 4648, lower case, without padding, as the DHT names what it stores. */
function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  const digits = bits.match(/.{1,5}/gu) ?? []
  return digits
    .map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('')
}
