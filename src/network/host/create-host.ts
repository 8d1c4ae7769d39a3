import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { Identify } from '@libp2p/identify'
import {
  FaultTolerance,
  type ConnectionProtector,
  type MultiaddrConnection,
  type PrivateKey,
} from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Ping } from '@libp2p/ping'
import { createLibp2p, type Libp2p, type ServiceFactoryMap } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { systemClock } from '../../clock.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
import { SpacedockError } from '../../errors.ts'
import { ed25519PublicKey } from '../../pairing/curve25519.ts'
import { isNeverDialled } from '../addresses/address-filter.ts'
import { parseAnnouncedIp } from '../addresses/announced-address.ts'
import { learnAddresses } from '../addresses/learnt-addresses.ts'
import { OwnAddresses } from '../addresses/own-addresses.ts'
import type { DhtHost } from '../dht/dht-client.ts'
import type { PrivateDht } from '../dht/private-dht.ts'
import type { Veil } from '../public/veil.ts'
import type { KnownPeers } from '../known-peers.ts'
import { identifyService } from '../transport/identify-service.ts'
import { deviceGate, InboundGate, libp2pLimits } from '../transport/inbound-gate.ts'
import { lazyEncryption } from '../transport/lazy-negotiation.ts'
import {
  countTaken,
  listenAddresses,
  portUnusable,
  type ListenOptions,
} from '../transport/listen-addresses.ts'
import { limitUpgrades } from '../transport/negotiation-limit.ts'
import { pingService } from '../transport/ping-service.ts'
import { streamMuxer } from '../transport/stream-muxer.ts'
import { TlsEndpoint } from '../transport/tls-endpoint.ts'
import type { PairKeys } from '../transport/tls-secrets.ts'
import type { NetworkHost } from './host.ts'
import { dialTimeoutMs, maxAddressesPerPeer } from './host-dials.ts'
import { hostTransports, type RelayOptions } from './host-transports.ts'
import { Libp2pHost } from './libp2p-host.ts'

type HostPeers = Pick<KnownPeers, 'isPaired' | 'isPairing'>

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
  /** Peers that it always lets in, and tells all of itself. Default: none. */
  peers?: HostPeers | undefined
  /** TLS with paired devices; without it there is none. */
  tls?: { pairKeys: PairKeys; clock: Clock; log: Log } | undefined
  /** Relays to dial over and to be reachable over; without it none are used. */
  relay?: RelayOptions | undefined
}

/** Peers that are no strangers to the host. */
function knownTo({ peers, relay }: HostOptions): HostPeers {
  return peers ?? relay?.peers ?? nobody
}

const nobody: HostPeers = { isPaired: () => false, isPairing: () => false }
/** Protocols of a device that a stranger learns of: what is served to everybody. */
const strangersProtocols = /^\/(?:ipfs\/(?:id|ping)|spacedock\/pairing)\//u

/** Creates a host. Rejects with `port-taken`, `no-network`, or `invalid-argument` for a privileged port. */
export async function createHost(options: HostOptions): Promise<NetworkHost> {
  const listen = await listenAddresses(options)
  const tcp = { inboundSocketInactivityTimeout: idleSocketMs, outboundSocketInactivityTimeout: idleSocketMs }
  const own = new OwnAddresses()
  const gate = new InboundGate({ peers: knownTo(options), limits: deviceGate, clock: systemClock })
  const privateKey = identityKey(options.seed)
  const localPeer = peerIdOf(peerIdFromPrivateKey(privateKey))
  const tls = options.tls === undefined ? null : new TlsEndpoint({ ...options.tls, localPeer, turns: gate })
  const ways = hostTransports(tcp, options.relay, tls ?? undefined)
  const isVeiled = (connection: MultiaddrConnection): boolean => ways.veil?.covers(connection) === true
  const libp2p = await createLibp2p({
    start: false,
    privateKey,
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
      ...(tls === null ? {} : { tls: () => tls }),
      gate: gate.service,
      lazyEncryption: lazyEncryption(isVeiled),
      limitUpgrades: limitUpgrades(isVeiled),
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
      ...libp2pLimits,
    },
    connectionGater: {
      // A person's own devices are in private networks: every address may be dialled where a device can be.
      denyDialMultiaddr: isNeverDialled,
      denyInboundConnection: gate.denyInboundConnection,
    },
  })
  await startListening(libp2p, listen, options.port)
  const { relay, interfaces, mapPort = false } = options
  const learnt = relay === undefined ? null : learnAddresses({ libp2p, own, interfaces, mapPort, ...relay })
  const dht = options.dht?.client(libp2p as unknown as DhtHost) ?? null
  return new Libp2pHost(libp2p, { listen, ways, learnt, dht, tls })
}

/** Key of a host, in libp2p's form: the seed, and the public key that follows from it. */
function identityKey(seed: Uint8Array): PrivateKey {
  return privateKeyFromRaw(Buffer.concat([seed, ed25519PublicKey(seed)]))
}

/** Starts libp2p; stops it and throws when an address is taken, or when there is none to listen on. */
async function startListening(libp2p: Libp2p, listen: readonly string[], port: number): Promise<void> {
  let listeners = 0
  libp2p.addEventListener('transport:listening', () => listeners++)
  await libp2p.start()
  if (listeners < (await countTaken(listen))) {
    await libp2p.stop()
    throw portUnusable(port, 'taken')
  }
  if (listeners === 0) {
    await libp2p.stop()
    throw new SpacedockError('no-network', 'No network interface could be listened on.', {
      hint: 'Check this device’s network connection, or name another interface.',
      option: 'interfaces',
    })
  }
}

/** Factory, as libp2p takes all of its parts. */
function protectorOf(veil: Veil): () => ConnectionProtector {
  return () => veil.protector()
}

function servicesOf(options: HostOptions, own: OwnAddresses): ServiceFactoryMap<Record<string, unknown>> {
  const { dht } = options
  const peers = knownTo(options)
  const identify = identifyService({
    own: () => own.all(),
    peers,
    strangersLearn: (protocol) => strangersProtocols.test(protocol),
    pace: { everyMs: 250, inARow: 16 },
    clock: systemClock,
  })
  const services = { identify, ping: pingService() }
  if (dht === undefined) return services
  const withDht: ServiceFactoryMap<{ identify: Identify; dht: KadDHT; ping: Ping }> = {
    ...services,
    dht: dht.service,
  }
  return withDht as unknown as ServiceFactoryMap<Record<string, unknown>>
}

/** Idle timeout of a socket: sessions ping every few seconds, so a silent connection is of no use to anybody. */
const idleSocketMs = 5 * 60_000
