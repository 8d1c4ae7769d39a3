import type { Connection, PeerId } from '@libp2p/interface'
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { networkOf } from '../network-of.ts'
import { classOfAddress } from './address-class.ts'

export interface ObservedAddressesOptions {
  /** Whose word is enough. */
  isTrusted: (peer: PeerId) => boolean
  clock: Clock
}

interface Candidate {
  address: Multiaddr
  /** When each stops counting, by the network of the observer. */
  observers: Map<string, number>
}

/**
 * Addresses at which others have reached this host, by their own word. Whoever dials knows which address he dialled; so what is
 * heard over a connection that came in is an address that leads here, such as that of a router with a forwarded port. The address
 * of a connection that went out leads nowhere: its port is the system's, or a NAT's.
 */
export class ObservedAddresses {
  readonly #options: ObservedAddressesOptions
  /** By address, the one longest unheard first. */
  readonly #candidates = new Map<string, Candidate>()

  constructor(options: ObservedAddressesOptions) {
    this.#options = options
  }

  /** `observed`: what the peer at the other end says about this end. `port`: on which this host listens. */
  heard(
    connection: Pick<Connection, 'direction' | 'remoteAddr' | 'remotePeer'>,
    observed: Multiaddr,
    port: number,
  ): void {
    const [ip, tcp, ...more] = observed.getComponents()
    const kind = classOfAddress(observed)
    const isFar = /^ip[46]$/u.test(ip?.name ?? '') && (kind === 'public' || kind === 'global-ipv6')
    // Through a NAT that was opened from inside comes a connection whose port is good for nobody else.
    const isListener =
      tcp?.name === 'tcp' && tcp.value === String(port) && more.every(({ name }) => name === 'p2p')
    const isDirect = classOfAddress(connection.remoteAddr) !== 'relayed'
    if (connection.direction !== 'inbound' || !isDirect || !isFar || !isListener) return
    this.#count(observed.decapsulateCode(CODE_P2P), this.#networkOf(connection))
  }

  /** Those that one trusted peer, or peers in three networks, have confirmed within a day. */
  believed(): Multiaddr[] {
    const now = this.#options.clock.monotonic()
    return [...this.#candidates.values()]
      .filter(({ observers }) => {
        const current = [...observers].filter(([, untilMs]) => untilMs > now)
        return current.length >= enoughNetworks || current.some(([network]) => network === trusted)
      })
      .map(({ address }) => address)
  }

  #networkOf({ remotePeer, remoteAddr }: Pick<Connection, 'remotePeer' | 'remoteAddr'>): string {
    return this.#options.isTrusted(remotePeer) ? trusted : networkOf(remoteAddr)
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
