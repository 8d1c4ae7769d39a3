import { TokenBucket } from '../network/token-bucket.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Pace at which a device may tell new presence keys: each time costs up to half a second, a write, and a round of lookups. */
const tellingPace = { everyMs: 60_000, inARow: 5 }
/** Number of devices remembered, those that told new keys last: more than anybody pairs. */
const maximumPeers = 1_024

/** Limit of the presence keys that are taken of each device. */
export class PresencePace {
  readonly #peers = new Map<PeerId, TokenBucket>()

  /** Whether new keys of this device may be taken now; if so, counts it. */
  take(peer: PeerId, nowMs: number): boolean {
    const bucket = this.#peers.get(peer) ?? new TokenBucket(tellingPace)
    this.#peers.delete(peer) // moves it to the end of the order
    this.#peers.set(peer, bucket)
    if (this.#peers.size > maximumPeers) {
      const [oldest] = this.#peers.keys()
      if (oldest !== undefined) this.#peers.delete(oldest)
    }
    return bucket.take(nowMs)
  }

  forget(peer: PeerId): void {
    this.#peers.delete(peer)
  }
}
