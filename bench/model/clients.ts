import { randomBytes } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { obey } from '../table/obey.ts'
import { dhtNode, lookUp, testRecord, type DhtNode } from '../../test/network/dht/dht-network.ts'
import { until } from '../../test/network/real-hosts.ts'
import { relayedHost } from '../../test/network/relay/relayed-host.ts'
import type { NetworkHost } from '../../src/network/host/host.ts'

/** Devices of a rendezvous node, as far as it sees them, in a process of their own. */

export type ClientsOrder =
  /** Makes as many records, each under keys of its own. */
  | { do: 'prepare'; records: number }
  /** Connects to the node's DHT. */
  | { do: 'enter'; address: string }
  | { do: 'publish' }
  /** Looks as often for one of the records. */
  | { do: 'look'; count: number }
  /** As many more hosts connect and take a place at the relay. */
  | { do: 'reserve'; address: string; count: number }
  /** The first of them sends to the second over the relay. */
  | { do: 'relay'; bytes: number }

/** Requests on their way. */
const atOnce = 16
const mostAttempts = 5
/** Addresses of a device with IPv4, IPv6 and a relay. */
const addresses = [
  '/ip4/192.168.1.20/tcp/28417',
  '/ip4/192.0.2.1/tcp/28417',
  '/ip6/2001:db8:1:2:3:4:5:6/tcp/28417',
]
const protocol = '/bench/1'
const chunkBytes = 65_536

let records: Awaited<ReturnType<typeof testRecord>>[] = []
let entered: DhtNode | null = null
const hosts: NetworkHost[] = []

obey(async (order: ClientsOrder) => {
  switch (order.do) {
    case 'prepare':
      records = []
      for (let number = 0; number < order.records; number++) {
        const keys = { signingSeed: randomBytes(32), recordKey: randomBytes(32) }
        records.push(await testRecord(BigInt(number), { keys, addresses }))
      }
      return null
    case 'enter': {
      const address = multiaddr(order.address)
      entered = await dhtNode({ mode: 'client', configured: new Set([peerOf(order.address)]) })
      await entered.libp2p.dial(address)
      await until(() => (entered?.client.nodes ?? 0) > 0, 'the node can be asked')
      return null
    }
    case 'publish':
      return inTurn(records.length, async (number) => {
        const { value, routingKey } = record(number)
        // On a busy machine an answer may take longer than the DHT waits for it.
        for (let attempt = 1; attempt <= mostAttempts; attempt++) {
          const signal = AbortSignal.timeout(60_000)
          if ((await client().publish(value, routingKey, { signal })) === 1) return
        }
        throw new Error('the node did not take a record')
      })
    case 'look':
      return inTurn(order.count, async (number) => {
        const found = await lookUp(client(), record(number % records.length).routingKey)
        if (found.length !== 1) throw new Error('the node has lost a record')
      })
    case 'reserve':
      return inTurn(order.count, async () => {
        const host = await relayedHost()
        hosts.push(host)
        await dialled(host, order.address)
        await until(() => (host.libp2p.getMultiaddrs() ?? []).some(isRelayed), 'a place at the relay')
      })
    case 'relay':
      return relay(order.bytes)
  }
})

/** The port that a host keeps for its dials may be another one's here, where all have one address. */
async function dialled(host: NetworkHost, address: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await host.libp2p.dial(multiaddr(address))
      return
    } catch (error) {
      if (attempt === mostAttempts) throw error
    }
  }
}

async function relay(bytes: number): Promise<null> {
  const [one, other] = hosts
  if (one === undefined || other === undefined) throw new Error('there are no two devices')
  const arrived = Promise.withResolvers<void>()
  let left = bytes
  await other.libp2p.handle(
    protocol,
    (stream) =>
      stream.addEventListener('message', ({ data }) => {
        left -= data.byteLength
        if (left <= 0) arrived.resolve()
      }),
    { runOnLimitedConnection: true },
  )
  const address = other.libp2p.getMultiaddrs().find(isRelayed)
  if (address === undefined) throw new Error('the device has no address over the relay')
  const connection = await one.libp2p.dial(address)
  const stream = await connection.newStream(protocol, { runOnLimitedConnection: true })
  for (let sent = 0; sent < bytes; sent += chunkBytes)
    if (!stream.send(new Uint8Array(chunkBytes))) await stream.onDrain()
  await arrived.promise
  return null
}

async function inTurn(count: number, work: (number: number) => Promise<void>): Promise<null> {
  let next = 0
  const working = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, working))
  return null
}

function isRelayed(address: { toString(): string }): boolean {
  return address.toString().includes('/p2p-circuit')
}

function record(number: number) {
  const found = records[number]
  if (found === undefined) throw new Error('there is no such record')
  return found
}

function client() {
  if (entered === null) throw new Error('not connected')
  return entered.client
}

function peerOf(address: string): string {
  return address.split('/p2p/')[1] ?? ''
}
