import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { PeerId as Libp2pPeerId, Transport } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { pause } from '../../clock.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { startDeadline } from '../deadline.ts'
import { publicDhtClient, type DhtClient } from '../dht/dht-client.ts'
import { publicDhtProtocol } from '../dht/dht-protocols.ts'
import { dhtService } from '../dht/dht-service.ts'
import { isNeverDialled } from '../addresses/address-filter.ts'
import { lazyEncryption } from '../transport/lazy-negotiation.ts'
import { streamMuxer } from '../transport/stream-muxer.ts'
import { mappedPortsOf, OwnPorts } from '../relay/own-port.ts'
import { type Reservations, reservationsOf } from '../relay/reservations.ts'
import { RendezvousNodes } from '../relay/rendezvous-nodes.ts'

import { FoundRelays } from './found-relays.ts'
import { publicTcp } from './public-tcp.ts'
import type { Cover, Veil } from './veil.ts'
import { formatVeiledAddress } from '../addresses/veiled-address.ts'

export interface ThrowawayHostOptions {
  /** Multiaddrs of the bootstrap nodes. */
  bootstrap: readonly string[]
  /** Veil; null when no relays are used. */
  veil: Veil | null
  /** Returns random bytes. */
  random: (length: number) => Uint8Array
  clock: Clock
  log: Log
  /** Whether DHT nodes in private networks count. */
  privateAddresses: boolean
  /** Called when the reservations at relays have changed. */
  onReservations: () => void
}

/** Host with an identity of its own that is made for the public network, listens nowhere, and is thrown away. */
export interface ThrowawayHost {
  readonly peerId: string
  readonly dht: DhtClient
  readonly cover: Cover | null
  /** Relays that hold a reservation for it, as peer ids in base58btc. */
  relays(): string[]
  /** Veiled addresses over these relays. */
  addresses(): string[]
  /** Number of the device's connections that it carries. */
  carries(): number
  /** Follows a change of network: unreachable nodes are tried again, and relays must show that they are there. */
  networkChanged(): void
  stop(): Promise<void>
}

export async function createThrowawayHost(options: ThrowawayHostOptions): Promise<ThrowawayHost> {
  const { bootstrap, veil, random, clock, log, privateAddresses, onReservations } = options
  const key = random(32)
  const ownPorts = new OwnPorts()
  const made: { circuit?: Transport; reservations?: Reservations; relays?: FoundRelays } = {}
  const circuit = (components: CircuitRelayTransportComponents): Transport => {
    made.circuit = (veil as Veil).circuit(key)(components)
    made.reservations = reservationsOf(made.circuit, clock)
    return made.circuit
  }
  const missing = new InterruptibleSleep(clock)
  const onChange = (): void => {
    if (made.relays?.isFull === false) missing.interrupt()
    onReservations()
  }
  const reservations = (): Reservations => made.reservations as Reservations
  const relays = (components: ConstructorParameters<typeof FoundRelays>[0]): FoundRelays =>
    (made.relays = new FoundRelays(components, { reservations, clock, log, onChange }))
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
  const dht = publicDhtClient(host, publicDhtProtocol)
  const entry = new RendezvousNodes({ libp2p: host, addresses: bootstrap, clock, log })
  entry.start()
  const stop = new AbortController()
  const held = () => made.relays?.held() ?? []
  const search =
    made.relays === undefined
      ? Promise.resolve()
      : searchRelays({ host, dht, relays: made.relays, sleep: missing, random, clock, log }, stop.signal)

  return {
    peerId: host.peerId.toString(),
    dht,
    cover:
      made.circuit === undefined
        ? null
        : { circuit: made.circuit, ports: () => mappedPortsOf(held(), ownPorts) },
    relays: () => held().map(({ relay }) => relay),
    addresses: () => held().map(({ connection }) => veiledAddress(connection.remoteAddr, host.peerId, key)),
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

function veiledAddress(relay: Multiaddr, peer: Libp2pPeerId, key: Uint8Array): string {
  const circuit = multiaddr(`${relay.toString()}/p2p-circuit/p2p/${peer.toString()}`)
  return formatVeiledAddress({ circuit, key })
}

/** Hosts named by a person, who may mean nodes in a private network. */
function hostsOf(addresses: readonly string[]): Set<string> {
  return new Set(addresses.flatMap((address) => multiaddr(address).getComponents()[0]?.value ?? []))
}

interface Search {
  host: { services: { dht: { getClosestPeers: ClosestPeers } } }
  dht: DhtClient
  relays: FoundRelays
  /** Interrupted when a reservation is missing. */
  sleep: InterruptibleSleep
  random: (length: number) => Uint8Array
  clock: Clock
  log: Log
}

type ClosestPeers = (key: Uint8Array, options: { signal: AbortSignal }) => AsyncIterable<unknown>

/**
 * Walks through the DHT, where most nodes are relays, too, for as long as reservations are missing; ever more rarely. Never
 * rejects.
 */
async function searchRelays(search: Search, signal: AbortSignal): Promise<void> {
  const { dht, relays, sleep, clock } = search
  // Other queries meet nodes without this: only the first node is news.
  const stopNodes = dht.onNode(() => {
    if (!hasNodes) sleep.interrupt()
  })
  let hasNodes = false
  let pauseMs = firstPauseMs
  while (!signal.aborted) {
    hasNodes = dht.nodes > 0
    if (hasNodes && !relays.isFull) {
      await walk(search, signal)
      sleep.clear()
      await sleep.for(pauseMs, signal)
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    } else {
      await sleep.for(longestPauseMs, signal)
      // A relay that is known already may grant the missing reservation.
      await pause(clock, settleMs, signal)
      pauseMs = firstPauseMs
    }
  }
  stopNodes()
}

/** Walks once; FoundRelays hears of each node as it is identified. Never rejects. */
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
