import { AsyncLocalStorage } from 'node:async_hooks'
import { identify, type Identify, type IdentifyComponents } from '@libp2p/identify'
import type { Connection } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { peerIdOf } from '../../peer-id.ts'
import type { KnownPeers } from '../known-peers.ts'
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

export interface TellingOptions {
  /** Own addresses, best first. */
  own: () => Multiaddr[]
  /** Peers of which a paired one learns every address of use on another computer, wherever it is seen; null for no such peers. */
  peers: Pick<KnownPeers, 'isPaired'> | null
}

/** Identify service that tells each peer the addresses in its scope; libp2p's tells all peers the same. */
export function scopedIdentify({ own, peers }: TellingOptions): (components: IdentifyComponents) => Identify {
  const asker = new AsyncLocalStorage<Connection>()
  const create = identify({ runOnConnectionOpen: true })
  const told = (): Multiaddr[] => {
    const connection = asker.getStore()
    const seenAt = connection === undefined ? null : classOfAddress(connection.remoteAddr)
    const isPaired = connection !== undefined && peers?.isPaired(peerIdOf(connection.remotePeer)) === true
    const isFarFriend = isPaired && seenAt !== 'loopback'
    return addressesFor(own(), isFarFriend ? 'link-local' : seenAt)
  }
  return (components) => {
    const { registrar, addressManager } = components
    const handle: Registrar['handle'] = (protocol, handler, options) =>
      registrar.handle(
        protocol,
        (stream, connection) => asker.run(connection, () => handler(stream, connection)),
        options,
      )
    return create(
      withMembers(components, {
        // Observed addresses are judged elsewhere: libp2p would demote a relayed address that is reported again to unverified.
        addressManager: withMembers(addressManager, { getAddresses: told, addObservedAddr: () => {} }),
        registrar: withMembers(registrar, { handle }),
      }),
    )
  }
}

function withMembers<Service extends object>(service: Service, replaced: Partial<Service>): Service {
  return new Proxy(service, {
    get(target, name) {
      if (name in replaced) return Reflect.get(replaced, name)
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
