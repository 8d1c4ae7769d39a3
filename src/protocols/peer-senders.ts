import type { PeerId } from '../pairing/peer-id.ts'

/** Number of senders remembered for one peer: anybody may speak of it. */
const maxSendersPerPeer = 16

/** Who has named which peer. */
export class PeerSenders {
  /** Peers in the order in which a sender named them first. */
  readonly #bySender = new Map<string, Set<PeerId>>()
  readonly #byPeer = new Map<PeerId, Set<string>>()

  add(sender: string, peer: PeerId): void {
    const senders = this.#byPeer.get(peer) ?? new Set()
    if (senders.size >= maxSendersPerPeer) return
    this.#byPeer.set(peer, senders.add(sender))
    const peers = this.#bySender.get(sender) ?? new Set()
    this.#bySender.set(sender, peers.add(peer))
  }

  delete(peer: PeerId): void {
    for (const sender of this.sendersOf(peer)) {
      const peers = this.#bySender.get(sender)
      peers?.delete(peer)
      if (peers?.size === 0) this.#bySender.delete(sender)
    }
    this.#byPeer.delete(peer)
  }

  sendersOf(peer: PeerId): ReadonlySet<string> {
    return this.#byPeer.get(peer) ?? none
  }

  /** Peers of each sender, those of the one that has named the most first. */
  fullestFirst(): ReadonlySet<PeerId>[] {
    return [...this.#bySender.values()].sort((one, other) => other.size - one.size)
  }
}

const none: ReadonlySet<string> = new Set()
