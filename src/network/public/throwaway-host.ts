import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Transport } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { pause } from '../../clock.ts'
import { Alarm } from '../alarm.ts'
import { startDeadline } from '../deadline.ts'
import { dhtClient, type DhtClient } from '../dht/dht-client.ts'
import { dhtService, publicDhtProtocol } from '../dht/dht-service.ts'
import { isNeverDialled } from '../discovery/address-filter.ts'
import { lazyEncryption } from '../lazy-negotiation.ts'
import { streamMuxer } from '../stream-muxer.ts'
import { OwnPorts } from '../relay/own-port.ts'
import { placesOf } from '../relay/relay-reservations.ts'
import { RendezvousNodes } from '../relay/rendezvous-nodes.ts'
import { mappedPortsOf } from '../relay/mapped-ports.ts'
import { FoundRelays } from './found-relays.ts'
import { publicTcp } from './public-tcp.ts'
import type { Cover, Veil } from './veil.ts'
import { formatVeiledAddress } from './veiled-address.ts'

export interface ThrowawayHostOptions {
  /** Multiaddrs by which the network is entered. */
  bootstrap: readonly string[]
  /** Null when no relays are used. */
  veil: Veil | null
  /** Random bytes. */
  random: (length: number) => Uint8Array
  clock: Clock
  log: Log
  /** Whether DHT nodes in private networks count. */
  privateAddresses: boolean
  /** The places at relays are others now. */
  onPlaces: () => void
}

/** A host with an identity of its own that is made for the public network, listens nowhere, and is thrown away. */
export interface ThrowawayHost {
  readonly peerId: string
  readonly dht: DhtClient
  readonly cover: Cover | null
  /** Relays at which it has a place; base58btc. */
  relays(): string[]
  /** Veiled addresses over these relays. */
  addresses(): string[]
  /** Connections of the device that it carries. */
  carries(): number
  /** Nodes that could not be reached are tried again now, and relays must show that they are there. */
  networkChanged(): void
  stop(): Promise<void>
}

export async function createThrowawayHost(options: ThrowawayHostOptions): Promise<ThrowawayHost> {
  const { bootstrap, veil, random, clock, log, privateAddresses, onPlaces } = options
  const key = random(32)
  const ownPorts = new OwnPorts()
  const made: { circuit?: Transport; relays?: FoundRelays } = {}
  const circuit = (components: CircuitRelayTransportComponents): Transport => {
    made.circuit = (veil as Veil).circuit(key)(components)
    return made.circuit
  }
  const missing = new Alarm(clock)
  const onChange = (): void => {
    if (made.relays?.isFull === false) missing.ring()
    onPlaces()
  }
  const places = () => placesOf(made.circuit as Transport)
  const relays = (components: ConstructorParameters<typeof FoundRelays>[0]): FoundRelays =>
    (made.relays = new FoundRelays(components, { places, clock, log, onChange }))
  const direct = privateAddresses ? tcp() : publicTcp(hostsOf(bootstrap))
  const host = await createLibp2p({
    transports: veil === null ? [direct] : [ownPorts.transport(direct, () => true), circuit],
    connectionEncrypters: [noise()],
    streamMuxers: [streamMuxer()],
    services: {
      identify: identify(),
      ping: ping(),
      lazyEncryption: lazyEncryption(),
      dht: dhtService({ mode: 'client', network: 'public', clock, privateAddresses }),
      ...(veil === null ? {} : { relays }),
    },
    nodeInfo: { userAgent: 'js-libp2p' },
    connectionMonitor: { enabled: false },
    connectionManager: { reconnectRetries: 0, dialTimeout: 5_000 },
    connectionGater: { denyDialMultiaddr: isNeverDialled },
  })
  const dht = dhtClient(host, publicDhtProtocol)
  const entry = new RendezvousNodes({ libp2p: host, addresses: bootstrap, clock, log })
  entry.start()
  const stop = new AbortController()
  const held = () => made.relays?.held() ?? []
  const search =
    made.relays === undefined
      ? Promise.resolve()
      : searchRelays({ host, dht, relays: made.relays, alarm: missing, random, clock, log }, stop.signal)

  return {
    peerId: host.peerId.toString(),
    dht,
    cover:
      made.circuit === undefined
        ? null
        : { circuit: made.circuit, ports: () => mappedPortsOf(held(), ownPorts) },
    relays: () => held().map(({ relay }) => relay),
    addresses: () =>
      held().map(({ connection }) =>
        formatVeiledAddress({
          circuit: multiaddr(`${connection.remoteAddr.toString()}/p2p-circuit/p2p/${host.peerId.toString()}`),
          key,
        }),
      ),
    carries: () => veil?.carriedOver(key) ?? 0,
    networkChanged() {
      entry.hurry()
      made.relays?.networkChanged()
    },
    async stop() {
      stop.abort()
      await entry.stop()
      await host.stop()
      await search
    },
  }
}

/** The person who names a node may mean one in a private network. */
function hostsOf(addresses: readonly string[]): Set<string> {
  return new Set(addresses.flatMap((address) => multiaddr(address).getComponents()[0]?.value ?? []))
}

interface Search {
  host: { services: { dht: { getClosestPeers: ClosestPeers } } }
  dht: DhtClient
  relays: FoundRelays
  /** Rings when a place is missing. */
  alarm: Alarm
  random: (length: number) => Uint8Array
  clock: Clock
  log: Log
}

type ClosestPeers = (key: Uint8Array, options: { signal: AbortSignal }) => AsyncIterable<unknown>

/** Walks through the DHT, where most nodes are relays, too, for as long as places are missing; ever more rarely. Never rejects. */
async function searchRelays(search: Search, signal: AbortSignal): Promise<void> {
  const { dht, relays, alarm, clock } = search
  // What other queries meet is heard of in any case: only the first node is news.
  const stopNodes = dht.onNode(() => {
    if (!hasNodes) alarm.ring()
  })
  let hasNodes = false
  let pauseMs = firstPauseMs
  while (!signal.aborted) {
    hasNodes = dht.nodes > 0
    if (hasNodes && !relays.isFull) {
      await walk(search, signal)
      alarm.clear()
      await alarm.wait(pauseMs, signal)
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    } else {
      await alarm.wait(longestPauseMs, signal)
      // A relay that was met may give the place that is missing.
      await pause(clock, settleMs, signal)
      pauseMs = firstPauseMs
    }
  }
  stopNodes()
}

/** What it meets is heard of as it is identified. Never rejects. */
async function walk({ host, relays, random, clock, log }: Search, signal: AbortSignal): Promise<void> {
  const deadline = startDeadline(walkTimeoutMs, () => new Error('the walk took too long'), { signal, clock })
  try {
    for await (const _ of host.services.dht.getClosestPeers(random(32), { signal: deadline.signal })) {
      if (relays.isFull) break
    }
  } catch (error) {
    log('debug', 'public-relay.walk-failed', { error: String(error) })
  } finally {
    deadline.stop()
  }
}

const firstPauseMs = 1_000
const longestPauseMs = 300_000
const walkTimeoutMs = 20_000
const settleMs = 300
