/**
 * Nodes of a private DHT: those that a person configured, and those that these name. Anybody can claim to speak the protocol, so a
 * claim counts for nothing: a stranger in the routing table would be asked, and so be told who looks for whom.
 */
export class Members {
  readonly #configured: ReadonlySet<string>
  /** Nodes that each configured node named last. */
  readonly #named = new Map<string, ReadonlySet<string>>()

  /** @param configured peer ids, base58btc */
  constructor(configured: ReadonlySet<string>) {
    this.#configured = configured
  }

  has(peer: string): boolean {
    return this.#configured.has(peer) || [...this.#named.values()].some((named) => named.has(peer))
  }

  /**
   * Takes the nodes that a node named, in place of those that it named before, up to the bounds; what nodes say that are not
   * configured counts for nothing.
   */
  named(answerer: string, peers: readonly string[]): void {
    if (!this.#configured.has(answerer)) return
    this.#named.delete(answerer)
    const others = new Set([...this.#named.values()].flatMap((named) => [...named]))
    const kept = new Set<string>()
    for (const peer of peers) {
      if (kept.size === maxNamedByOne) break
      const isNew = !others.has(peer) && !kept.has(peer)
      if (isNew && others.size + kept.size >= maxNamedInAll) continue
      if (!this.#configured.has(peer)) kept.add(peer)
    }
    this.#named.set(answerer, kept)
  }
}

/** Most nodes that one configured node names, and all of them together: a private DHT is a handful of computers. */
const maxNamedByOne = 8
const maxNamedInAll = 16
