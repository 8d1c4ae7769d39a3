import { NotFoundError, type Peer, type PeerId, type PeerInfo, type PeerStore } from '@libp2p/interface'
import { classOfAddress, type AddressClass } from '../addresses/address-class.ts'
import { addressesFor } from '../addresses/told-addresses.ts'
import type { Members } from './members.ts'
import { servedConnection } from './record-store.ts'

/**
 * Peer store as the DHT sees it: of the members alone. kad-dht answers from the peer store what anybody asks, and that holds the
 * addresses of every device that was ever connected. Whoever asks learns of a member's addresses those in his scope.
 */
export function storeOfMembers(store: PeerStore, members: Members): PeerStore {
  const known = (peer: PeerId): void => {
    if (!members.has(peer.toString())) throw new NotFoundError('not a node of this DHT')
  }
  const replaced: Partial<PeerStore> = {
    async get(peer, options): Promise<Peer> {
      known(peer)
      const found = await store.get(peer, options)
      const seenAt = asker()
      if (seenAt === undefined) return found
      const told = addressesFor(
        found.addresses.map(({ multiaddr }) => multiaddr),
        seenAt,
      )
      return { ...found, addresses: found.addresses.filter(({ multiaddr }) => told.includes(multiaddr)) }
    },
    async getInfo(peer, options): Promise<PeerInfo> {
      known(peer)
      const found = await store.getInfo(peer, options)
      const seenAt = asker()
      return seenAt === undefined ? found : { ...found, multiaddrs: addressesFor(found.multiaddrs, seenAt) }
    },
    async has(peer, options): Promise<boolean> {
      return members.has(peer.toString()) && (await store.has(peer, options))
    },
  }
  return new Proxy(store, {
    get(target, name) {
      if (name in replaced) return Reflect.get(replaced, name)
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

/** Class of the address at which the peer is seen whose question is being answered; undefined when none is. */
function asker(): AddressClass | null | undefined {
  const connection = servedConnection.getStore()
  return connection === undefined ? undefined : classOfAddress(connection.remoteAddr)
}
