import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Identify } from '@libp2p/identify'
import { FaultTolerance } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import type { Ping } from '@libp2p/ping'
import type {
  Connection,
  ConnectionProtector,
  IdentifyResult,
  PeerId as Libp2pPeerId,
  Stream,
} from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p, type ServiceFactoryMap } from 'libp2p'
import { SpacedockError } from '../../errors.ts'
import { parseAnnouncedIp } from '../addresses/announced-address.ts'
import { learnAddresses, type LearntAddresses } from '../addresses/learnt-addresses.ts'
import { OwnAddresses, usableElsewhere } from '../addresses/own-addresses.ts'
import { scopedIdentify } from '../addresses/told-addresses.ts'
import type { DhtClient, DhtHost } from '../dht/dht-client.ts'
import type { PrivateDht } from '../dht/private-dht.ts'
import { startDeadline } from '../deadline.ts'
import type { DialAttempt } from '../reachability/dial-evidence.ts'
import { isNeverDialled } from '../addresses/address-filter.ts'
import { lazyEncryption } from '../transport/lazy-negotiation.ts'
import { streamMuxer } from '../transport/stream-muxer.ts'
import {
  countTaken,
  listenAddresses,
  portUnusable,
  type ListenOptions,
} from '../transport/listen-addresses.ts'
import type { Veil } from '../public/veil.ts'
import { isVeiled } from '../addresses/veiled-address.ts'
import { hostTransports, type HostTransports, type RelayOptions } from './host-transports.ts'
import { pingService } from '../transport/ping-service.ts'
import { isRelayed, isRelayedConnection } from '../addresses/relayed-address.ts'
import type { SimultaneousOpen } from '../relay/simultaneous-open.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { libp2pPeer, peerIdOf } from '../../peer-id.ts'

/** Transport (TCP), encryption (Noise), multiplexing (Yamux) and identify: one libp2p node under one identity. */
export interface Host {
  readonly libp2p: HostLibp2p
  /** DHT client; null when the host was made without one. */
  readonly dht: DhtClient | null
  /** Peer id, base58btc. */
  readonly peerId: PeerId
  /** Dialable addresses of this host, the best first, each ending in /p2p/PEERID. */
  addresses(): Multiaddr[]
  /**
   * Addresses of this host as seen from outside when it dials from the port that it keeps for that, where a NAT preserves the
   * port number: for records. `dial` with another host's outer address uses that port by itself.
   */
  outerAddresses(): Multiaddr[]
  /** Listen addresses, wildcards unresolved. */
  listening(): Multiaddr[]
  /** TCP port on which this host listens; null for none. */
  listeningPort(): number | null
  /** Returns the open connection to this peer, or a new one; Noise has proved its identity. */
  connect(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection>
  /** Opens a new connection to this peer, also when there is one already. Direct addresses are tried first. */
  dial(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection>
  /** Connections to this peer, whatever their status. */
  connectionsTo(peer: PeerId): Connection[]
  /** Tells the host that its addresses have changed. */
  networkChanged(): void
  /** Simultaneous open; null when the host uses no relays. */
  readonly simultaneousOpen: SimultaneousOpen | null
  /** Veil; null when the host uses no relays of the public network. */
  readonly veil: Veil | null
  /** Resolves with an address where the peer of this connection can be dialled again; null while none is known. */
  dialableAddress(connection: Connection): Promise<Multiaddr | null>
  /** Listen addresses that a peer has told by identify. */
  toldAddresses(peer: PeerId): Promise<Multiaddr[]>
  /** Protocols that a connected peer has told by identify; none before that. */
  toldProtocols(peer: PeerId): readonly string[]
  /** Calls back when a peer was identified; the function returned stops it. */
  onIdentified(listener: (connection: Connection) => void): () => void
  /** Calls back when a device is dialled, at all of its addresses together, with the result. */
  onDial(listener: (result: Promise<Connection>) => void): void
  /** Calls back at the beginning of each dial to one address. */
  onAttempt(listener: (attempt: DialAttempt) => void): void
  /** Calls back when a connection is open, in either direction. */
  onConnection(listener: (connection: Connection) => void): void
  openStream(connection: Connection, protocol: string, options: { signal: AbortSignal }): Promise<Stream>
  /** Closes every connection to this peer, whatever runs over it. */
  disconnect(peerId: PeerId): void
  stop(): Promise<void>
}

/** Part of libp2p that others use. */
export type HostLibp2p = Pick<
  Libp2p,
  | 'peerId'
  | 'dial'
  | 'getConnections'
  | 'getPeers'
  | 'handle'
  | 'unhandle'
  | 'addEventListener'
  | 'removeEventListener'
>

/** A host on a real network. */
export interface NetworkHost extends Host {
  readonly libp2p: Libp2p
}

export interface HostOptions extends ListenOptions {
  /** 32 bytes, Ed25519. */
  seed: Uint8Array
  /** Agent version in identify. */
  agent: string
  dht?: PrivateDht | undefined
  /** Multiaddrs of IP and TCP port under which others reach this host, besides those of its interfaces. */
  announce?: readonly string[] | undefined
  /** Ask the router to pass on what comes in at this host's port. Only together with `relay`. @default false */
  mapPort?: boolean | undefined
  /** Relays to dial over and to be reachable over; without it none are used. */
  relay?: RelayOptions | undefined
}

/** Timeout of a dial to one peer, all its addresses together. */
const dialTimeoutMs = 10_000
/** Most addresses at which one peer is dialled. */
const maxAddressesPerPeer = 16

/** Creates a host. Rejects with `port-taken`, `no-network`, or `invalid-argument` for a privileged port. */
export async function createHost(options: HostOptions): Promise<NetworkHost> {
  const listen = await listenAddresses(options)
  const tcp = { inboundSocketInactivityTimeout: idleSocketMs, outboundSocketInactivityTimeout: idleSocketMs }
  const ways = hostTransports(tcp, options.relay)
  const own = new OwnAddresses()
  const libp2p = await createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.seed),
    addresses: {
      listen,
      appendAnnounce: (options.announce ?? []).map((text) => parseAnnouncedIp(text).toString()),
      announceFilter: () => own.all(),
    },
    transports: ways.transports,
    connectionEncrypters: [noise()],
    streamMuxers: [streamMuxer()],
    ...(ways.veil === null ? {} : { connectionProtector: protectorOf(ways.veil) }),
    services: {
      ...servicesOf(options, own),
      ...ways.services,
      lazyEncryption: lazyEncryption((connection) => ways.veil?.covers(connection) === true),
      ownAddresses: own.service,
    },
    nodeInfo: { userAgent: options.agent },
    // A missing IPv6 must not stop us; that nothing listens at all is checked below.
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    // Sessions have their own heartbeat, which the connection supervisor acts on.
    connectionMonitor: { enabled: false },
    connectionManager: {
      reconnectRetries: 0,
      dialTimeout: dialTimeoutMs,
      maxPeerAddrsToDial: maxAddressesPerPeer,
      // The default of five is for the open internet; a household's devices sit behind one address.
      inboundConnectionThreshold: 50,
      maxIncomingPendingConnections: 100,
    },
    // A person's own devices are in private networks: every address may be dialled where a device can be.
    connectionGater: { denyDialMultiaddr: isNeverDialled },
  })
  let listeners = 0
  libp2p.addEventListener('transport:listening', () => listeners++)
  await libp2p.start()
  if (listeners < (await countTaken(listen))) {
    await libp2p.stop()
    throw portUnusable(options.port, 'taken')
  }
  if (listeners === 0) {
    await libp2p.stop()
    throw new SpacedockError('no-network', 'No network interface could be listened on.', {
      hint: 'Check this device’s network connection, or name another interface.',
      option: 'interfaces',
    })
  }
  const { relay, interfaces, mapPort = false } = options
  const learnt =
    relay === undefined
      ? null
      : learnAddresses({ libp2p, own, interfaces, isTrusted: relay.isPaired, mapPort, ...relay })
  return wrap(libp2p, { listen, ways, learnt }, options.dht?.client(libp2p as unknown as DhtHost) ?? null)
}

/** Factory, as libp2p takes all of its parts. */
function protectorOf(veil: Veil): () => ConnectionProtector {
  return () => veil.protector()
}

function servicesOf(
  { dht, relay }: HostOptions,
  own: OwnAddresses,
): ServiceFactoryMap<Record<string, unknown>> {
  const isTrusted = (peer: Libp2pPeerId): boolean => relay?.isPaired(peer) === true
  const services = { identify: scopedIdentify({ own: () => own.all(), isTrusted }), ping: pingService() }
  if (dht === undefined) return services
  const withDht: ServiceFactoryMap<{ identify: Identify; dht: KadDHT; ping: Ping }> = {
    ...services,
    dht: dht.service,
  }
  return withDht as unknown as ServiceFactoryMap<Record<string, unknown>>
}

/** Idle timeout of a socket: sessions ping every few seconds, so a silent connection is of no use to anybody. */
const idleSocketMs = 5 * 60_000

interface HostParts {
  listen: string[]
  ways: HostTransports
  learnt: LearntAddresses | null
}

function wrap(libp2p: Libp2p, { listen, ways, learnt }: HostParts, dht: DhtClient | null): NetworkHost {
  const dialListeners: ((result: Promise<Connection>) => void)[] = []
  // The peer store is no source: libp2p also puts into it what this host asked for.
  const toldProtocols = new WeakMap<Connection, string[]>()
  libp2p.addEventListener('peer:identify', ({ detail }) =>
    toldProtocols.set(detail.connection, detail.protocols),
  )
  const attemptListeners: ((attempt: DialAttempt) => void)[] = []
  return {
    libp2p,
    simultaneousOpen: ways.simultaneousOpen,
    veil: ways.veil,
    dht,
    peerId: peerIdOf(libp2p.peerId),
    connectionsTo: (peer) => libp2p.getConnections(libp2pPeer(peer)),
    addresses: () => usableElsewhere(libp2p.getMultiaddrs()),
    outerAddresses: () => ways.outerAddresses(),
    listening: () => listen.map((address) => multiaddr(address)),
    listeningPort: () =>
      portOf(listen.map((address) => multiaddr(address))) ?? portOf(libp2p.getMultiaddrs()),

    async connect(peerId, addresses, { signal }) {
      const [open] = this.connectionsTo(peerId)
        .filter((connection) => connection.status === 'open')
        .sort((one, other) => Number(isRelayedConnection(one)) - Number(isRelayedConnection(other)))
      if (open !== undefined) return open
      return this.dial(peerId, addresses, { signal })
    },

    networkChanged: () => {
      ways.relays?.networkChanged()
      learnt?.networkChanged()
    },

    async dial(peerId, addresses, { signal }) {
      const suffix = `/p2p/${peerId}`
      const targets = [...new Set(addresses.map((address) => pinned(String(address), suffix)))]
        .filter((address) => address.endsWith(suffix))
        .map((address) => multiaddr(address))
        .filter((address) => !isNeverDialled(address))
        .slice(0, maxAddressesPerPeer)
      if (targets.length === 0)
        throw new SpacedockError('offline', 'No address of the other device is known.')
      const deadline = startDeadline(dialTimeoutMs, dialTimedOut, { signal })
      const onAttempt = (address: Multiaddr, attempt: Promise<Connection>): void => {
        const told = { peer: peerId, address: String(address).replace(suffix, ''), result: attempt }
        for (const listener of attemptListeners) listener(told)
      }
      const result = ways.dialer
        .dial(targets, { signal: deadline.signal, onAttempt })
        .finally(() => deadline.stop())
      for (const listener of dialListeners) listener(result)
      return result
    },

    async dialableAddress(connection) {
      // A veiled address is useless without its key, and short-lived with it: the other device's record has fresh ones.
      if (isVeiled(connection.remoteAddr)) return null
      if (connection.direction === 'outbound') return connection.remoteAddr
      // The source port of an inbound connection is ephemeral: identify told the port that the peer listens on.
      const known = await libp2p.peerStore.get(connection.remotePeer).catch(() => null)
      const host = hostOf(connection.remoteAddr)
      return (
        known?.addresses.map((each) => each.multiaddr).find((address) => hostOf(address) === host) ?? null
      )
    },

    async toldAddresses(peer) {
      const known = await libp2p.peerStore.get(libp2pPeer(peer)).catch(() => null)
      return known?.addresses.map((each) => each.multiaddr) ?? []
    },

    toldProtocols: (peer) =>
      libp2p.getConnections(libp2pPeer(peer)).flatMap((connection) => toldProtocols.get(connection) ?? []),

    onIdentified(listener) {
      const onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => listener(detail.connection)
      libp2p.addEventListener('peer:identify', onIdentify)
      return () => libp2p.removeEventListener('peer:identify', onIdentify)
    },

    onDial: (listener) => void dialListeners.push(listener),
    onAttempt: (listener) => void attemptListeners.push(listener),

    onConnection(listener) {
      libp2p.addEventListener('connection:open', ({ detail }) => listener(detail))
    },

    openStream: (connection, protocol, { signal }) =>
      connection.newStream(protocol, { signal, runOnLimitedConnection: true }),

    disconnect(peerId) {
      const connections = this.connectionsTo(peerId)
      // abort() drops the socket at once; close() would wait for the other side.
      for (const connection of connections) connection.abort(new Error('not paired any more'))
    },

    stop: async () => {
      await Promise.all([learnt?.stop(), libp2p.stop()])
    },
  }
}

/** Appends `/p2p/PEERID` unless the address ends in it: relayed ones may end in the relay's part, and all others in the port. */
function pinned(address: string, suffix: string): string {
  return /\/p2p\/[^/]+$/u.test(address) ? address : `${address}${suffix}`
}

function dialTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'No address of the other device answered in time.')
}

function portOf(addresses: readonly Multiaddr[]): number | null {
  const direct = addresses.filter((address) => !isRelayed(address))
  const ports = direct.map((address) =>
    Number(address.getComponents().find(({ name }) => name === 'tcp')?.value),
  )
  return ports.find((port) => port > 0) ?? null
}

function hostOf(address: Multiaddr): string | undefined {
  return address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')?.value
}
