import { AsyncLocalStorage } from 'node:async_hooks'
import { identify, type Identify, type IdentifyComponents } from '@libp2p/identify'
import type { Connection, PeerId } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { classOfAddress, type AddressClass } from './address-class.ts'
import { usableElsewhere } from './own-addresses.ts'

/**
 * Of this host's addresses, those that a peer may be told that is seen at an address of this class: those that reach as far, or
 * farther. Nobody on the internet learns of addresses in a home, and nobody in a provider's network.
 */
export function addressesFor(own: readonly Multiaddr[], seenAt: AddressClass | null): Multiaddr[] {
  const nearness = seenAt === null ? 0 : nearnessOf[seenAt]
  return own.filter((address) => {
    const kind = classOfAddress(address)
    return kind !== null && nearnessOf[kind] <= nearness
  })
}

/** The same for those of whom nothing is known; a host that has nothing for them tells what it has. */
export function addressesForStrangers(own: readonly Multiaddr[]): Multiaddr[] {
  const far = addressesFor(own, 'public')
  return far.length > 0 ? far : usableElsewhere(own)
}

/** The greater, the fewer can use it. */
const nearnessOf: Record<AddressClass, number> = {
  public: 0,
  'global-ipv6': 0,
  relayed: 0,
  shared: 1,
  private: 2,
  'unique-local': 2,
  'link-local': 3,
  loopback: 4,
  // Neither is an own address, and nobody is seen there.
  embedded: 0,
  never: 0,
}

export interface TellingOptions {
  /** Best first. */
  own: () => Multiaddr[]
  /** Who is told all that is of use on another machine, wherever it is seen. */
  isTrusted: (peer: PeerId) => boolean
}

/** libp2p's identify, which by itself tells everybody the same. */
export function scopedIdentify({
  own,
  isTrusted,
}: TellingOptions): (components: IdentifyComponents) => Identify {
  const asker = new AsyncLocalStorage<Connection>()
  const create = identify({ runOnConnectionOpen: true })
  const told = (): Multiaddr[] => {
    const connection = asker.getStore()
    const seenAt = connection === undefined ? null : classOfAddress(connection.remoteAddr)
    const isFarFriend = connection !== undefined && seenAt !== 'loopback' && isTrusted(connection.remotePeer)
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
        // What others observe is judged elsewhere: libp2p would take a relayed address that is told again for one to be doubted.
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
