import type { Transport } from '@libp2p/interface'
import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import type { TCPComponents, TCPOptions } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { ServiceFactoryMap } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { addressDialer, type Dialer } from '../transport/address-race.ts'
import type { KnownPeers } from '../known-peers.ts'
import { linkLocalTcp, type OtherSockets } from '../transport/link-local-tcp.ts'
import { Veil } from '../public/veil.ts'
import type { MappedPort } from '../addresses/mapped-ports.ts'
import { outerAddresses } from '../addresses/outer-address.ts'
import { OuterDials } from '../relay/outer-dials.ts'
import { mappedPortsOf, OwnPorts } from '../relay/own-port.ts'
import { relayClient, type RelayReservations } from '../relay/relay-reservations.ts'
import { simultaneousOpen, type SimultaneousOpen } from '../relay/simultaneous-open.ts'

export interface RelayOptions {
  /** Rendezvous nodes, whose relays are used, and paired devices: with these alone is a direct connection through NATs arranged. */
  peers: KnownPeers
  /** Secret of a rendezvous node's relay, 16 bytes; null for one that has none. */
  secretOf: (peer: string) => Uint8Array | null
  /** Whether to use relays of the public network, too, without being seen there. */
  public: boolean
  clock: Clock
  log: Log
}

/** Paths to and from a host: over TCP, over relays, and through NATs. */
export interface HostTransports {
  readonly transports: ((components: TCPComponents & CircuitRelayTransportComponents) => Transport)[]
  readonly services: ServiceFactoryMap<Record<string, unknown>>
  /** Dialer; like all the others, only once the host exists. */
  readonly dialer: Dialer
  readonly relays: RelayReservations | null
  readonly simultaneousOpen: SimultaneousOpen | null
  /** Veil of connections over relays of the public network; null when none are used. */
  readonly veil: Veil | null
  /** Addresses of this device as seen from outside; see `outerAddresses`. */
  outerAddresses(): Multiaddr[]
}

/** Builds a host's transports; without `relay`, relays are not used at all. `others`: who shares the TCP port. */
export function hostTransports(
  tcp: TCPOptions,
  relay: RelayOptions | undefined,
  others: OtherSockets | undefined,
): HostTransports {
  const made: { dialer?: Dialer; relays?: RelayReservations; simultaneousOpen?: SimultaneousOpen } = {}
  const dialer = addressDialer()
  const services: ServiceFactoryMap<Record<string, unknown>> = {
    dialer: (components) => (made.dialer = dialer(components)),
  }
  const veil = relay?.public === true ? new Veil(relay.clock) : null
  const result = {
    services,
    veil,
    get dialer(): Dialer {
      if (made.dialer === undefined) throw new Error('the host does not exist yet')
      return made.dialer
    },
    get relays(): RelayReservations | null {
      return made.relays ?? null
    },
    get simultaneousOpen(): SimultaneousOpen | null {
      return made.simultaneousOpen ?? null
    },
  }
  if (relay === undefined)
    return Object.assign(result, { transports: [linkLocalTcp(tcp, others)], outerAddresses: () => [] })

  const { peers, secretOf, clock, log } = relay
  const ownPorts = new OwnPorts()
  const isRelayAddress = (address: Multiaddr): boolean => {
    const peer = address.getComponents().at(-1)
    return peer?.name === 'p2p' && peer.value !== undefined && peers.isRelay(peer.value)
  }
  const client = relayClient({ peers, secretOf, clock, log })
  const ports = (): MappedPort[] => [
    ...mappedPortsOf(made.relays?.dialled() ?? [], ownPorts),
    ...(veil?.ports() ?? []),
  ]
  const outerDials = new OuterDials(clock, ports)
  let direct: Transport | undefined
  const directTcp = ownPorts.transport(linkLocalTcp(tcp, others), isRelayAddress)
  const open = simultaneousOpen({
    ports,
    peers,
    clock,
    log,
  })
  return Object.assign(result, {
    transports: [
      (components: TCPComponents): Transport => (direct = directTcp(components)),
      outerDials.transport(() => direct as Transport),
      // Veiled transports come before the other relay transport, which takes every relayed address.
      ...(veil === null ? [] : [veil.transport(peers)]),
      client.transport,
    ],
    outerAddresses: () => (outerDials.port === 0 ? [] : outerAddresses(ports(), outerDials.port)),
    services: Object.assign(services, {
      outerDials: () => outerDials,
      relays: (components: Parameters<typeof client.service>[0]) =>
        (made.relays = client.service(components)),
      simultaneousOpen: (components: Parameters<typeof open>[0]) =>
        (made.simultaneousOpen = open(components)),
    }),
  })
}
