import type { KnownPeers } from '../network/known-peers.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { Store } from '../store/store.ts'
import { hasPairKey } from './trusted-peers.ts'

/** Peers that a node knows: paired devices, and its rendezvous nodes. */
export class PeersOfNode implements KnownPeers {
  readonly #store: Store
  readonly #relays: ReadonlySet<string>

  constructor(store: Store, relays: readonly PeerId[]) {
    this.#store = store
    this.#relays = new Set(relays)
  }

  isPaired(peer: PeerId): boolean {
    return hasPairKey(this.#store, peer)
  }

  isPairing(peer: PeerId): boolean {
    return this.#store.registry.get(peer)?.state === 'pairing'
  }

  isRelay(peer: string): boolean {
    return this.#relays.has(peer)
  }
}
