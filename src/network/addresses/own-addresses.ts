import type { PeerId, PeerStore } from '@libp2p/interface'
import type { AddressManager, AddressType } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isRelayed } from '../relayed-address.ts'
import { addressClasses, classOfAddress, type AddressClass } from './address-class.ts'

/** Whence an address of this host is known. */
export type AddressSource = 'announced' | 'interface' | 'mapped' | 'observed'

export interface KnownAddress {
  address: Multiaddr
  source: AddressSource
  /** Whether it is known to lead here. */
  verified: boolean
}

/**
 * The one rule for what counts as an address of this host: what a person announces, what its interfaces have, whatever the
 * range, because it is there to be seen; and what others say, routers and relays among them, only once it is verified. Best
 * first, none twice.
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

/** Those that are of use on another machine; when there is none, all. */
export function usableElsewhere(addresses: readonly Multiaddr[]): Multiaddr[] {
  const far = addresses.filter((address) => !onlyHere.has(classOfAddress(address) ?? 'never'))
  return far.length > 0 ? far : [...addresses]
}

/** At most `limit` of addresses that are in the order of their worth: the best of each class before the second of any. */
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
 * What libp2p knows of this host's addresses, by our rule. By its own, the public addresses of interfaces are left out until
 * somebody has confirmed them, which nobody does.
 */
export class OwnAddresses {
  #components: OwnAddressesComponents | undefined
  readonly #learnt = new Map<AddressSource, () => Multiaddr[]>()

  /** To be given to libp2p as a service, and `all` as its filter of announced addresses. */
  readonly service = (components: OwnAddressesComponents): OwnAddresses => {
    this.#components = components
    return this
  }

  /** From now on these count, too; they are verified, and name no peer. After a change, `changed` is to be called. */
  learnFrom(source: 'mapped' | 'observed', addresses: () => Multiaddr[]): void {
    this.#learnt.set(source, addresses)
  }

  /** Tells the program, by libp2p's event `self:peer:update`, if they are others than before. */
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

  /** Each ends in /p2p/PEERID. None before the host exists. */
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
