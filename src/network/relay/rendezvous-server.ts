import { circuitRelayServer, RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { FaultTolerance, type Connection, type PeerId } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Log } from '../../api.ts'
import { pause, systemClock } from '../../clock.ts'
import { SpacedockError } from '../../errors.ts'
import { parseAnnounced } from '../addresses/announced-address.ts'
import { OwnAddresses, usableElsewhere } from '../addresses/own-addresses.ts'
import { addressesForStrangers } from '../addresses/told-addresses.ts'
import { answers } from './liveness-check.ts'
import { dhtService } from '../dht/dht-service.ts'
import { Members } from '../dht/members.ts'
import type { RecordLimits } from '../dht/store-quota.ts'
import { parsePeerAddress } from '../addresses/peer-address.ts'
import { parseRendezvousAddress } from '../addresses/rendezvous-address.ts'
import { listenAddresses } from '../transport/listen-addresses.ts'
import { identifyService } from '../transport/identify-service.ts'
import { InboundGate, libp2pLimits } from '../transport/inbound-gate.ts'
import { lazyEncryption } from '../transport/lazy-negotiation.ts'
import { streamMuxer } from '../transport/stream-muxer.ts'
import { networkOf } from '../addresses/network-of.ts'
import { limitUpgrades } from '../transport/negotiation-limit.ts'
import { pingService } from '../transport/ping-service.ts'
import { RelayAccess, relayAccessProtocol, type RelayAdmission } from './relay-access.ts'
import { giveUpPlace, lastsAsItsConnection, placeLifetimeMs } from './relay-places.ts'
import { RelayGuard, relayLimits, type RelayLimits } from './relay-limits.ts'
import type { Clock } from '../../api.ts'
export interface RendezvousServerOptions {
  /** 32 bytes, Ed25519. */
  seed: Uint8Array
  port: number
  /** Names of the interfaces to listen on. */
  interfaces?: string[] | undefined
  /** Multiaddrs under which others reach it, when those of its interfaces are not the right ones. */
  announce?: readonly string[]
  /** Multiaddrs of other rendezvous nodes, each with its /p2p/PEERID: together they are one DHT. */
  others?: readonly string[]
  relay?: RelayLimits
  /** Who gets a place at the relay. @default anybody */
  admission?: RelayAdmission
  records?: RecordLimits
  /** Limit of connections. @default 4_096 */
  maxConnections?: number
  agent: string
  clock?: Clock
  log?: Log
}

/** Rendezvous node for devices: a DHT server that keeps their records, and a relay for those that cannot be reached. */
export interface RendezvousServer {
  readonly peerId: string
  /** Addresses that others can use, the best first, each ending in /p2p/PEERID. */
  addresses(): string[]
  /** Current load. */
  usage(): { reservations: number; relayedConnections: number; peers: number }
  stop(): Promise<void>
}

/** Creates a rendezvous node. Rejects with `port-taken`, `no-network` or `invalid-argument`. */
// oxlint-disable-next-line max-lines-per-function -- the composition root of a rendezvous node
export async function createRendezvousServer(options: RendezvousServerOptions): Promise<RendezvousServer> {
  const { seed, announce = [], others = [], maxConnections = usualConnections, records, agent } = options
  const { admission = { kind: 'open' }, clock = systemClock, log = () => {} } = options
  for (const address of announce)
    parseAnnounced(address, '/dns4/meet.example.org/tcp/4111 or /ip4/20.3.4.5/tcp/4111')
  const otherNodes = others.map((address) => parseRendezvousAddress(address))
  const limits = relayLimits(options.relay)
  const privateKey = await generateKeyPairFromSeed('Ed25519', seed)
  const access = new RelayAccess(admission, peerIdFromPrivateKey(privateKey), clock)
  const guard = new RelayGuard(clock, limits, (peer) => access.isOwn(peer))
  const own = new OwnAddresses()
  // The other nodes are as good as paired.
  const nodes = new Set<string>(otherNodes.map(({ peer }) => peer))
  const peers = { isPaired: (peer: string) => nodes.has(peer), isPairing: () => false }
  const gate = new InboundGate({
    // Strangers must not put out the devices that the relay is there for.
    peers: { ...peers, isPaired: (peer) => nodes.has(peer) || access.isOwn(peer) },
    limits: {
      handshakes: { everyMs: 5, inARow: 256 },
      // An office behind one address has an eighth of the places.
      strangers: { inAll: maxConnections, perNetwork: Math.ceil(maxConnections / 8) },
      strangerIdleMs: idleSocketMs,
    },
    clock,
  })
  const libp2p = await createLibp2p({
    privateKey,
    addresses: {
      listen: await listenAddresses(options),
      announce: [...announce],
      // A relay tells these addresses to every device with a reservation.
      announceFilter: () => addressesForStrangers(own.all()),
    },
    transports: [
      tcp({ inboundSocketInactivityTimeout: idleSocketMs, outboundSocketInactivityTimeout: idleSocketMs }),
    ],
    connectionEncrypters: [noise()],
    // A larger window lets a paused sender have more under way.
    streamMuxers: [streamMuxer({ streamOptions: { maxStreamWindowSize: 1024 * 1024 } })],
    services: {
      identify: identifyService({
        own: () => own.all(),
        peers,
        strangersLearn: 'everything',
        pace: { everyMs: 20, inARow: 128 },
        clock,
      }),
      gate: gate.service,
      ping: pingService({ clock }),
      lazyEncryption: lazyEncryption(),
      limitUpgrades: limitUpgrades(),
      dht: dhtService({
        mode: 'server',
        network: 'private',
        clock,
        members: new Members(new Set(otherNodes.map(({ peer }) => peer))),
        ...(records === undefined ? {} : { limits: records }),
      }),
      relay: circuitRelayServer({
        reservations: {
          maxReservations: limits.reservations,
          // The default limits end a connection; ours slow it down. See RelayGuard.
          applyDefaultLimit: false,
          reservationTtl: placeLifetimeMs,
        },
        maxInboundHopStreams: limits.connectionsPerPeer + 4,
        maxOutboundStopStreams: maxStopStreams,
      }),
      ownAddresses: own.service,
      guards: ({ registrar }: { registrar: Registrar }) => ({ registrar }),
    },
    nodeInfo: { userAgent: agent },
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    connectionMonitor: { enabled: false },
    connectionManager: { reconnectRetries: 0, ...libp2pLimits },
    connectionGater: {
      denyInboundConnection: gate.denyInboundConnection,
      denyDialMultiaddr: () => false,
      denyInboundRelayReservation: (peer): boolean => {
        lastsAsItsConnection(relay, peer)
        return !access.admits(peer.toString()) || isCrowded(peer)
      },
    },
  })
  const { relay, guards } = libp2p.services
  if (limits.reservations === 0) {
    // No device is to ask again and again for what there is not.
    await guards.registrar.unhandle(RELAY_V2_HOP_CODEC)
  } else {
    await putUnderGuard(guards.registrar, guard)
    await guards.registrar.handle(relayAccessProtocol, access.handle, { maxInboundStreams: maxProofs })
  }
  if (libp2p.getMultiaddrs().length === 0) {
    await libp2p.stop()
    throw new SpacedockError('no-network', 'No network interface could be listened on.', {
      hint: 'Check that a network interface is up, or name one.',
      option: 'interfaces',
    })
  }
  libp2p.addEventListener('connection:open', ({ detail }) => void dropSilent(detail))
  libp2p.addEventListener('peer:disconnect', ({ detail }) => {
    access.disconnected(detail.toString())
    giveUpPlace(relay, detail)
  })

  /**
   * Drops older connections of a device that do not answer: it may have changed networks, and the relay would go on calling it
   * over them.
   */
  async function dropSilent(newcomer: Connection): Promise<void> {
    const older = libp2p.getConnections(newcomer.remotePeer).filter((one) => one !== newcomer)
    for (const connection of older) {
      if (await answers(connection, { timeoutMs: answerMs, clock })) continue
      connection.abort(new Error('the device is somewhere else'))
    }
  }

  /** Whether enough devices of the peer's network have a reservation already; devices that the relay belongs to do not count. */
  function isCrowded(peer: PeerId): boolean {
    const [connection] = libp2p.getConnections(peer)
    if (connection === undefined) return true
    if (relay.reservations.has(peer) || access.isOwn(peer.toString())) return false
    const network = networkOf(connection.remoteAddr)
    const neighbours = [...relay.reservations].filter(
      ([one, { addr }]) => networkOf(addr) === network && !access.isOwn(one.toString()),
    )
    return neighbours.length >= limits.reservationsPerAddress
  }

  const stopping = new AbortController()
  const keeping = otherNodes.map(({ address }) => keepConnected(address))

  /** Keeps another node connected: the nodes are one DHT for as long as each knows one of the others. */
  async function keepConnected(address: Multiaddr): Promise<void> {
    const { signal } = stopping
    const { peer } = parsePeerAddress(address.toString())
    while (!signal.aborted) {
      const connected = libp2p.getPeers().some((one) => one.toString() === peer)
      if (!connected && peer !== libp2p.peerId.toString()) {
        await libp2p
          .dial(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(dialTimeoutMs)]) })
          .catch((error: unknown) =>
            log('debug', 'rendezvous.other-unreachable', {
              address: address.toString(),
              error: String(error),
            }),
          )
      }
      await pause(clock, otherNodesCheckMs * (0.75 + Math.random() / 2), signal)
    }
  }

  return {
    peerId: libp2p.peerId.toString(),
    addresses: () => usableElsewhere(own.all()).map(String),
    usage: () => ({
      reservations: relay.reservations.size,
      relayedConnections: guard.connections,
      peers: libp2p.getPeers().length,
    }),
    async stop() {
      stopping.abort(new SpacedockError('closed', 'The rendezvous node is shutting down.'))
      await Promise.all(keeping)
      await libp2p.stop()
    },
  }
}

/** Connections that a node has room for without another limit. */
export const usualConnections = 4_096
/** Idle timeout: devices check their relays every few seconds, so a silent one is gone. */
const idleSocketMs = 2 * 60_000
const answerMs = 2_000
const dialTimeoutMs = 10_000
const otherNodesCheckMs = 10_000
/** Limit of relayed connections to one device. */
const maxStopStreams = 64
/** Concurrent proofs on one connection. */
const maxProofs = 2

async function putUnderGuard(registrar: Registrar, guard: RelayGuard): Promise<void> {
  const { handler, options } = registrar.getHandler(RELAY_V2_HOP_CODEC)
  // The guard is no middleware: libp2p adds the handler of inbound streams to its list of middleware every time.
  await registrar.handle(RELAY_V2_HOP_CODEC, guard.guard(handler), { ...options, force: true })
  registrar.use(RELAY_V2_STOP_CODEC, [guard.join])
}
