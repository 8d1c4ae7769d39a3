import type { Multiaddr } from '@multiformats/multiaddr'
import { classOfAddress, type AddressClass } from './address-class.ts'
import { usableElsewhere } from './own-addresses.ts'

/**
 * Returns the own addresses that a peer seen at an address of this class may learn: those of the same scope or a wider one.
 * Addresses of a home never go to the internet, nor to a provider's network.
 */
export function addressesFor(own: readonly Multiaddr[], seenAt: AddressClass | null): Multiaddr[] {
  const nearness = seenAt === null ? 0 : nearnessOf[seenAt]
  return own.filter((address) => {
    const kind = classOfAddress(address)
    return kind !== null && nearnessOf[kind] <= nearness
  })
}

/** Returns the addresses that an unknown peer may learn; all of them when none is of wide enough scope. */
export function addressesForStrangers(own: readonly Multiaddr[]): Multiaddr[] {
  const far = addressesFor(own, 'public')
  return far.length > 0 ? far : usableElsewhere(own)
}

/** Narrowness of each class's scope: the greater, the fewer peers can use it. */
const nearnessOf: Record<AddressClass, number> = {
  public: 0,
  'global-ipv6': 0,
  relayed: 0,
  shared: 1,
  private: 2,
  'unique-local': 2,
  'link-local': 3,
  loopback: 4,
  // Classes without a use: neither own addresses nor source addresses of peers.
  embedded: 0,
  never: 0,
}
