import type { PeerId } from '../pairing/peer-id.ts'
import { BitSet } from './bit-set.ts'
import { Components } from './components.ts'
import { isLink, isRemoval, type Statement } from './statement.ts'

/** A statement in a record, and where it stands there. */
export interface Entry {
  readonly statement: Statement
  /** Position in this record: after all that it follows. */
  readonly index: number
  /** All that it follows, by position. */
  readonly past: BitSet
  /** Statements on the longest way down from it: in every record the same. */
  readonly height: number
  /** Bytes of it and all that it follows. */
  readonly bytes: number
}

type LinkEntry = Entry & { statement: Extract<Statement, { kind: 'link' | 'replace' }> }

/** How a device came to one's own. */
export interface Introduction {
  /** Device of one's own that signed the link with it. */
  by: PeerId
  /** The link that connected it with one's own, by itself or by way of others. */
  link: Statement
}

/**
 * What a set of statements, closed under what they follow, says about devices: a function of that set and nothing else: decision 48.
 *
 * Made in O(statements + removals * statements / 32); then each question takes O(identities), and `introductions` O(links * log links).
 */
export class SetView {
  readonly #links: LinkEntry[] = []
  readonly #conducting: LinkEntry[] = []
  readonly #removed = new Map<PeerId, { byOthers: boolean }>()
  /** What every removal of an identity by another has seen. */
  readonly #seen = new Map<PeerId, BitSet>()
  /** Lowest number that an identity gave to two statements. */
  readonly #forks = new Map<PeerId, number>()
  /** Connected by links that conduct, and by any. */
  readonly #connected = new Components()
  readonly #ever = new Components()

  constructor(entries: Iterable<Entry>) {
    const numbers = new Map<PeerId, Set<number>>()
    for (const entry of entries) {
      this.#count(entry, numbers)
      if (isRemoval(entry.statement)) this.#remove(entry, entry.statement.target)
      if (isLink(entry.statement)) this.#links.push(entry as LinkEntry)
    }
    for (const link of this.#links) {
      const [first, second] = link.statement.signers
      this.#ever.join(first.peer, second.peer)
      if (!this.#conducts(link)) continue
      this.#conducting.push(link)
      this.#connected.join(first.peer, second.peer)
    }
  }

  /** Whether a removal names it, or it gave one number to two statements: for ever. */
  isRemoved(peer: PeerId): boolean {
    return this.#removed.has(peer) || this.#forks.has(peer)
  }

  /** Whether somebody else removed it, which another removal can add nothing to. */
  isRemovedByOthers(peer: PeerId): boolean {
    return this.#removed.get(peer)?.byOthers === true
  }

  /** Returns the lowest number that an identity gave to two statements; null when it gave none twice. */
  forkOf(peer: PeerId): number | null {
    return this.#forks.get(peer) ?? null
  }

  /** Whether a link names it. */
  isLinked(peer: PeerId): boolean {
    return this.#ever.has(peer)
  }

  /** Identities that are removed. */
  removed(): Set<PeerId> {
    return new Set([...this.#removed.keys(), ...this.#forks.keys()])
  }

  /** Whether links that conduct lead from one to the other, through removed devices as well. */
  areConnected(one: PeerId, other: PeerId): boolean {
    return this.#connected.areTogether(one, other)
  }

  /** The devices that are `me` and one's own others; nobody when `me` is removed. */
  members(me: PeerId): Set<PeerId> {
    if (this.isRemoved(me)) return new Set()
    return new Set([me, ...this.#connected.with(me).filter((peer) => !this.isRemoved(peer))])
  }

  /** Devices about which a person is asked: not removed, and connected with `me` only by links that a removal has not seen. */
  suspended(me: PeerId): Set<PeerId> {
    if (this.isRemoved(me)) return new Set()
    return new Set(
      this.#ever.with(me).filter((peer) => !this.isRemoved(peer) && !this.#connected.areTogether(peer, me)),
    )
  }

  /** Who brought in each device that is connected with `me`, and by which link: links count in the order of the graph. */
  introductions(me: PeerId): Map<PeerId, Introduction> {
    const forest = new Components()
    const neighbours = new Map<PeerId, [PeerId, number][]>()
    const ordered = this.#conducting.toSorted(inGraphOrder)
    for (const [order, { statement }] of ordered.entries()) {
      const [first, second] = statement.signers.map(({ peer }) => peer) as [PeerId, PeerId]
      if (!forest.join(first, second)) continue
      neighbours.set(first, [...(neighbours.get(first) ?? []), [second, order]])
      neighbours.set(second, [...(neighbours.get(second) ?? []), [first, order]])
    }
    const found = new Map<PeerId, Introduction>()
    const pending: [PeerId, number][] = [[me, 0]]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [by, since] = next
      for (const [peer, order] of neighbours.get(by) ?? []) {
        if (peer === me || found.has(peer)) continue
        const last = Math.max(since, order)
        const link = ordered[last]
        if (link !== undefined) found.set(peer, { by, link: link.statement })
        pending.push([peer, last])
      }
    }
    return found
  }

  /** Whether every removal of either end, by somebody else, has seen the link; and every fork came after it. */
  #conducts({ index, statement }: LinkEntry): boolean {
    return statement.signers.every(
      ({ peer, number }) =>
        (this.#seen.get(peer)?.has(index) ?? true) && number < (this.#forks.get(peer) ?? Infinity),
    )
  }

  #remove({ statement, past }: Entry, target: PeerId): void {
    const isOwn = statement.signers.some(({ peer }) => peer === target)
    this.#removed.set(target, { byOthers: !isOwn || this.isRemovedByOthers(target) })
    if (isOwn) return
    const seen = this.#seen.get(target)
    if (seen === undefined) this.#seen.set(target, past.copy())
    else seen.keep(past)
  }

  #count({ statement }: Entry, numbers: Map<PeerId, Set<number>>): void {
    for (const { peer, number } of statement.signers) {
      const used = numbers.get(peer) ?? new Set()
      numbers.set(peer, used)
      if (used.has(number)) this.#forks.set(peer, Math.min(number, this.#forks.get(peer) ?? Infinity))
      used.add(number)
    }
  }
}

/** Order in which every record of these statements has them: by height, then by id. */
export function inGraphOrder(a: Entry, b: Entry): number {
  return a.height - b.height || (a.statement.id < b.statement.id ? -1 : 1)
}
