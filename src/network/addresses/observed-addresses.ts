import type { Connection } from '@libp2p/interface'
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
import type { KnownPeers } from '../known-peers.ts'
import { networkOf } from './network-of.ts'
import { classOfAddress } from './address-class.ts'

export interface ObservedAddressesOptions {
  /** Peers of which a paired one's observation alone confirms an address. */
  peers: Pick<KnownPeers, 'isPaired'>
  clock: Clock
}

/** Connection over which an observation was told. */
export type ObservedConnection = Pick<Connection, 'direction' | 'remoteAddr' | 'remotePeer'>

interface Candidate {
  address: Multiaddr
  /** End of each observation's validity, by the observer's network; monotonic ms. */
  observers: Map<string, number>
}

/**
 * Addresses at which peers have reached this host, as they report them. A dialler knows which address it dialled, so what is
 * reported over an inbound connection leads here, such as a router's address with a forwarded port. The source address of an
 * outbound connection leads nowhere: its port is ephemeral, or a NAT's.
 */
export class ObservedAddresses {
  readonly #options: ObservedAddressesOptions
  /** Candidates by address, the one longest unheard first. */
  readonly #candidates = new Map<string, Candidate>()

  constructor(options: ObservedAddressesOptions) {
    this.#options = options
  }

  /**
   * Records an observation. `observed`: address of this end as the peer reports it. `port`: TCP port on which this host listens.
   */
  heard(connection: ObservedConnection, observed: Multiaddr, port: number): void {
    const [ip, tcp, ...more] = observed.getComponents()
    const kind = classOfAddress(observed)
    const isFar = /^ip[46]$/u.test(ip?.name ?? '') && (kind === 'public' || kind === 'global-ipv6')
    // A connection through a NAT mapping that was opened from inside shows a port that works for no other peer.
    const isListener =
      tcp?.name === 'tcp' && tcp.value === String(port) && more.every(({ name }) => name === 'p2p')
    const isDirect = classOfAddress(connection.remoteAddr) !== 'relayed'
    if (connection.direction !== 'inbound' || !isDirect || !isFar || !isListener) return
    this.#count(observed.decapsulateCode(CODE_P2P), this.#networkOf(connection))
  }

  /** Returns the addresses that one trusted peer, or peers in three networks, have confirmed within a day. */
  believed(): Multiaddr[] {
    const now = this.#options.clock.monotonic()
    return [...this.#candidates.values()]
      .filter(({ observers }) => {
        const current = [...observers].filter(([, untilMs]) => untilMs > now)
        return current.length >= enoughNetworks || current.some(([network]) => network === trusted)
      })
      .map(({ address }) => address)
  }

  #networkOf({ remotePeer, remoteAddr }: ObservedConnection): string {
    return this.#options.peers.isPaired(peerIdOf(remotePeer)) ? trusted : networkOf(remoteAddr)
  }

  #count(address: Multiaddr, network: string): void {
    const key = address.toString()
    const { observers } = this.#candidates.get(key) ?? { observers: new Map<string, number>() }
    this.#candidates.delete(key)
    this.#candidates.set(key, { address, observers })
    observers.delete(network)
    observers.set(network, this.#options.clock.monotonic() + lifetimeMs)
    dropFirst(observers, maxObservers)
    dropFirst(this.#candidates, maxCandidates)
  }
}

function dropFirst(map: Map<string, unknown>, limit: number): void {
  const [first] = map.keys()
  if (map.size > limit && first !== undefined) map.delete(first)
}

const trusted = 'trusted'
const enoughNetworks = 3
const lifetimeMs = 24 * 3_600_000
const maxCandidates = 16
const maxObservers = 8
