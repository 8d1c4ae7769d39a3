import type { PeerId } from '../pairing/peer-id.ts'

/** Which devices are connected with which (union-find; each step takes next to constant time). */
export class Components {
  readonly #parents = new Map<PeerId, PeerId>()

  /** Returns false if they were connected before. */
  join(one: PeerId, other: PeerId): boolean {
    const [a, b] = [this.#root(one), this.#root(other)]
    this.#parents.set(a, b)
    this.#parents.set(b, b)
    return a !== b
  }

  has(peer: PeerId): boolean {
    return this.#parents.has(peer)
  }

  areTogether(one: PeerId, other: PeerId): boolean {
    return this.#root(one) === this.#root(other)
  }

  /** Returns the others that are connected with one. */
  with(one: PeerId): PeerId[] {
    return [...this.#parents.keys()].filter((other) => other !== one && this.areTogether(one, other))
  }

  #root(peer: PeerId): PeerId {
    let at = peer
    for (;;) {
      const parent = this.#parents.get(at) ?? at
      if (parent === at) return at
      const above = this.#parents.get(parent) ?? parent
      this.#parents.set(at, above)
      at = above
    }
  }
}
