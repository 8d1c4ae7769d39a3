import type { PeerId, PeerStore } from '@libp2p/interface'
import type { AddressManager, AddressType } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isRelayed } from './relayed-address.ts'
import { addressClasses, classOfAddress, type AddressClass } from './address-class.ts'

/** Origin of an address of this host. */
export type AddressSource = 'announced' | 'interface' | 'mapped' | 'observed'

export interface KnownAddress {
  address: Multiaddr
  source: AddressSource
  /** Whether it is known to lead here. */
  verified: boolean
}

/**
 * Decides which addresses count as this host's: announced ones and those of its interfaces, whatever the range, in any case;
 * those that routers, relays and other peers report only once verified. Best first, without duplicates.
 */
export function ownAddresses(known: readonly KnownAddress[]): Multiaddr[] {
  const found = new Map<string, { address: Multiaddr; rank: number }>()
  for (const { address, source, verified } of known) {
    const kind = classOfAddress(address)
    if (kind === null || notOwn.has(kind)) continue
    const isHere = source === 'announced' || (source === 'interface' && kind !== 'relayed')
    if (isHere || verified) found.set(address.toString(), { address, rank: addressClasses.indexOf(kind) })
  }
  return [...found.values()].sort((left, right) => left.rank - right.rank).map(({ address }) => address)
}

/** Returns the addresses that are of use on another computer; all of them when there is none. */
export function usableElsewhere(addresses: readonly Multiaddr[]): Multiaddr[] {
  const far = addresses.filter(isUsableElsewhere)
  return far.length > 0 ? far : [...addresses]
}

/** Whether the address is of use on a machine that is not on the same link. */
export function isUsableElsewhere(address: Multiaddr): boolean {
  return !onlyHere.has(classOfAddress(address) ?? 'never')
}

/** Returns at most `limit` addresses out of a list sorted best first: the best of each class before the second of any. */
export function someOfEachClass<Address extends Multiaddr>(
  addresses: readonly Address[],
  limit: number,
): Address[] {
  const turns = new Map<AddressClass | null, number>()
  return addresses
    .map((address) => {
      const kind = classOfAddress(address)
      const turn = turns.get(kind) ?? 0
      turns.set(kind, turn + 1)
      return { address, turn }
    })
    .sort((left, right) => left.turn - right.turn)
    .slice(0, limit)
    .map(({ address }) => address)
}

const notOwn: ReadonlySet<AddressClass> = new Set(['never', 'embedded'])
const onlyHere: ReadonlySet<AddressClass> = new Set(['loopback', 'link-local'])

/**
 * This host's addresses as libp2p sees them, chosen by `ownAddresses`: libp2p itself leaves out public addresses of interfaces
 * until somebody has confirmed them, which nobody does.
 */
export class OwnAddresses {
  #components: OwnAddressesComponents | undefined
  readonly #learnt = new Map<AddressSource, () => Multiaddr[]>()

  /** Factory for libp2p's service; `all` is its filter of announced addresses. */
  readonly service = (components: OwnAddressesComponents): OwnAddresses => {
    this.#components = components
    return this
  }

  /** Adds a source of verified addresses, which name no peer. `changed` is to be called after each change. */
  learnFrom(source: 'mapped' | 'observed', addresses: () => Multiaddr[]): void {
    this.#learnt.set(source, addresses)
  }

  /** Emits libp2p's event `self:peer:update` if the addresses have changed. */
  async changed(): Promise<void> {
    if (this.#components === undefined) return
    const { peerStore, peerId } = this.#components
    const multiaddrs = this.all().map((address) => address.decapsulate(`/p2p/${peerId.toString()}`))
    await peerStore.patch(peerId, { multiaddrs })
  }

  /** The TCP port on which this host listens; null when it does not. */
  port(): number | null {
    const listening = this.#known().find(
      ({ source, address }) => source === 'interface' && !isRelayed(address),
    )
    const tcp = listening?.address.getComponents().find(({ name }) => name === 'tcp')
    return tcp?.value === undefined ? null : Number(tcp.value)
  }

  /** Returns the addresses, each ending in /p2p/PEERID; none before the host exists. */
  all(): Multiaddr[] {
    return ownAddresses(this.#known())
  }

  #known(): KnownAddress[] {
    if (this.#components === undefined) return []
    const { addressManager, peerId } = this.#components
    const suffix = `/p2p/${peerId.toString()}`
    const fromLibp2p = addressManager
      .getAddressesWithMetadata()
      .map(({ multiaddr: address, type, verified }) => ({ address, source: sources[type], verified }))
    const learnt = [...this.#learnt].flatMap(([source, addresses]) =>
      addresses().map((address) => ({ address, source, verified: true })),
    )
    return [...fromLibp2p, ...learnt].map(({ address, ...known }) => ({
      ...known,
      address: address.toString().endsWith(suffix) ? address : address.encapsulate(suffix),
    }))
  }
}

interface OwnAddressesComponents {
  addressManager: Pick<AddressManager, 'getAddressesWithMetadata'>
  peerStore: Pick<PeerStore, 'patch'>
  peerId: PeerId
}

const sources = {
  announce: 'announced',
  transport: 'interface',
  'ip-mapping': 'mapped',
  'dns-mapping': 'mapped',
  observed: 'observed',
} as const satisfies Record<AddressType, AddressSource>
