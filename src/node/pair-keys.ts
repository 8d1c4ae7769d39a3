import type { PairKeys } from '../network/transport/tls-secrets.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { Store } from '../store/store.ts'

/** Keys by which devices may prove that they are paired, also those of pairings that are not finished. */
export class StoredPairKeys implements PairKeys {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  pairKeys(): { peer: PeerId; key: Uint8Array }[] {
    const { trust, registry } = this.#store
    const peers = new Set([...trust.list(), ...trust.provisionals()].map(({ peerId }) => peerId))
    return [...peers].flatMap((peer) => {
      const { provisional, settled } = registry.pairKeysOf(peer)
      return [provisional, settled].flatMap((each) => (each === undefined ? [] : [{ peer, key: each.key }]))
    })
  }

  onPairKeysChanged(listener: () => void): void {
    this.#store.trust.onChange(listener)
  }
}
