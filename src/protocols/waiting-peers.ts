import type { PeerId } from '../pairing/peer-id.ts'

/**
 * Order of asking: a peer that only a holder of the code can have named; one whose address a person gave; then peers there is news
 * of; then those that were silent. So invented peers, which only the network names, can hold up others of their kind and never the
 * first.
 */
export const ranks = ['marked', 'given', 'news', 'silent'] as const
export type Rank = (typeof ranks)[number]

/** Whether anybody may have named a peer of this rank. */
export function isAnybodys(rank: Rank): boolean {
  return rank === 'news' || rank === 'silent'
}

/** Peer whose turn it is, and the sender for whom it has it. */
export interface Turn {
  readonly peer: PeerId
  readonly rank: Rank
  readonly sender: string
}

/** Peers that wait to be asked: by rank, and within a rank by turns of those who named them. */
export class WaitingPeers {
  readonly #ranks: Record<Rank, Map<string, Set<PeerId>>> = {
    marked: new Map(),
    given: new Map(),
    news: new Map(),
    silent: new Map(),
  }

  /** Adds a peer at the end of the queue of each that named it. */
  add(peer: PeerId, rank: Rank, senders: Iterable<string>): void {
    const queues = this.#ranks[rank]
    for (const sender of senders) {
      const queue = queues.get(sender) ?? new Set()
      queues.set(sender, queue.add(peer))
    }
  }

  delete(peer: PeerId, senders: Iterable<string>): void {
    for (const sender of senders) for (const rank of ranks) this.#deleteFrom(rank, sender, peer)
  }

  /** Whether somebody of this rank, or a better one, waits. */
  hasAny(rank: Rank): boolean {
    return ranks.slice(0, ranks.indexOf(rank) + 1).some((each) => this.#ranks[each].size > 0)
  }

  /** Returns the next of the best rank: of the sender with the fewest peers under way, and of these the one that waits for longest. */
  first(underWay: ReadonlyMap<string, number>): Turn | undefined {
    for (const rank of ranks) {
      let next: Turn | undefined
      let fewest = Infinity
      for (const [sender, queue] of this.#ranks[rank]) {
        const [peer] = queue
        const count = underWay.get(sender) ?? 0
        if (peer === undefined || count >= fewest) continue
        next = { peer, rank, sender }
        fewest = count
      }
      if (next !== undefined) return next
    }
    return undefined
  }

  /** Ends a sender's turn: its other peers wait until all other senders have had theirs. */
  served(sender: string): void {
    for (const rank of ranks) {
      const queues = this.#ranks[rank]
      const queue = queues.get(sender)
      if (queue === undefined) continue
      queues.delete(sender) // moves it to the end of the order
      queues.set(sender, queue)
    }
  }

  clear(): void {
    for (const rank of ranks) this.#ranks[rank].clear()
  }

  #deleteFrom(rank: Rank, sender: string, peer: PeerId): void {
    const queues = this.#ranks[rank]
    const queue = queues.get(sender)
    queue?.delete(peer)
    if (queue?.size === 0) queues.delete(sender)
  }
}
