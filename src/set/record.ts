import type { PeerId } from '../pairing/peer-id.ts'
import { BitSet } from './bit-set.ts'
import {
  maxHeldBytes,
  maxHeldBytesOfAdditions,
  maxIdentities,
  maxMembers,
  maxNumber,
  maxPastBytesOfAdditions,
  maxPastBytesOfRemovals,
  maxPredecessors,
} from './limits.ts'
import { identitiesIn, isRemoval, type Statement, type StatementId } from './statement.ts'
import { SetView, type Entry } from './view.ts'

/**
 * Why a statement is not admitted. All but two follow from the statement and what it follows, so every device says the same:
 * `predecessor-missing` ends when the missing one comes, `full` is about this device.
 */
export type Refusal =
  | 'predecessor-missing'
  | 'number-used'
  | 'signer-removed'
  | 'not-a-member'
  | 'already-removed'
  | 'too-many-members'
  | 'too-many-identities'
  | 'too-many-bytes'
  | 'not-signed'
  | 'full'

export type Admission = 'admitted' | 'known' | Refusal

/** Checks the signatures of a statement: a value, so that tests can explore records without cryptography. */
export type SignatureCheck = (statement: Statement) => boolean

/** Number of views of pasts that are kept. */
const maxKeptViews = 32

/**
 * Statements that were admitted, each after those it follows. Admission depends on what a statement follows alone, so that the order
 * of arrival changes nothing and nothing is ever taken back. Decision 48 says why.
 *
 * A statement costs O(held / 32) for its past, O(its past) for the view of it, and last, when all else is well, its signatures.
 */
export class SetRecord {
  readonly #isSigned: SignatureCheck
  readonly #entries: Entry[]
  readonly #byId: Map<StatementId, Entry>
  /** Statements that no other one follows. */
  readonly #heads: Set<StatementId>
  #heldBytes: number
  #view: SetView | null = null
  /** Views of pasts, by the predecessors of the statement. */
  readonly #views = new Map<string, SetView>()

  private constructor(isSigned: SignatureCheck, from: SetRecord | null) {
    this.#isSigned = isSigned
    this.#entries = from === null ? [] : [...from.#entries]
    this.#byId = new Map(from === null ? [] : from.#byId)
    this.#heads = new Set(from === null ? [] : from.#heads)
    this.#heldBytes = from === null ? 0 : from.#heldBytes
  }

  static empty(isSigned: SignatureCheck): SetRecord {
    return new SetRecord(isSigned, null)
  }

  copy(): SetRecord {
    return new SetRecord(this.#isSigned, this)
  }

  /** Statements, each after those it follows. */
  statements(): Statement[] {
    return this.#entries.map(({ statement }) => statement)
  }

  get size(): number {
    return this.#entries.length
  }

  has(id: StatementId): boolean {
    return this.#byId.has(id)
  }

  view(): SetView {
    this.#view ??= new SetView(this.#entries)
    return this.#view
  }

  /**
   * Statements that a new one of these signers names as those it follows: all heads. Of more than it may name, which takes somebody
   * who spams, those of the signers first, then those that follow most; what is left out the statement has not seen.
   */
  predecessors(signers: readonly PeerId[]): StatementId[] {
    const heads = [...this.#heads].map((id) => this.#entry(id))
    const isOwn = ({ statement }: Entry): boolean =>
      statement.signers.some(({ peer }) => signers.includes(peer))
    return heads
      .toSorted((a, b) => Number(isOwn(b)) - Number(isOwn(a)) || b.bytes - a.bytes)
      .slice(0, maxPredecessors)
      .map(({ statement }) => statement.id)
      .sort()
  }

  /**
   * Returns the number that comes after all those that an identity is known to have used; null when there is none left. The caller
   * keeps the numbers it signed with, also where the other signature never came.
   */
  nextNumber(peer: PeerId, lastUsed = 0): number | null {
    const numbers = this.#entries.flatMap(({ statement }) => numberOf(statement, peer) ?? [])
    const next = Math.max(lastUsed, ...numbers) + 1
    return next > maxNumber ? null : next
  }

  /** Returns these statements and all that they follow, each after those it follows; passes over what is not here. */
  closure(ids: Iterable<StatementId>): Statement[] {
    const wanted = new BitSet(this.size)
    for (const id of ids) {
      const entry = this.#byId.get(id)
      if (entry === undefined) continue
      wanted.addAll(entry.past)
      wanted.add(entry.index)
    }
    return this.#at(wanted).map(({ statement }) => statement)
  }

  /**
   * Admits what can be admitted of statements in any order, in O(statements) and as many tries: none waits for one that is not among
   * them. Returns why the others were not.
   */
  admitAll(statements: Iterable<Statement>): Map<StatementId, Refusal> {
    const offered = new Map([...statements].map((statement) => [statement.id, statement]))
    const refused = new Map<StatementId, Refusal>()
    for (const statement of inOrder(offered)) {
      const admission = this.admit(statement)
      if (admission !== 'admitted' && admission !== 'known') refused.set(statement.id, admission)
    }
    return refused
  }

  admit(statement: Statement): Admission {
    if (this.#byId.has(statement.id)) return 'known'
    const predecessors = statement.predecessors.map((id) => this.#byId.get(id))
    if (!predecessors.every((entry) => entry !== undefined)) return 'predecessor-missing'
    const entry = this.#place(statement, predecessors)
    const refusal = this.#refusalOf(entry)
    if (refusal !== null) return refusal
    this.#entries.push(entry)
    this.#byId.set(statement.id, entry)
    this.#heldBytes += statement.size
    for (const id of statement.predecessors) this.#heads.delete(id)
    this.#heads.add(statement.id)
    this.#view = null
    return 'admitted'
  }

  #place(statement: Statement, predecessors: readonly Entry[]): Entry {
    const past = new BitSet(this.size)
    let height = 0
    for (const before of predecessors) {
      past.addAll(before.past)
      past.add(before.index)
      height = Math.max(height, before.height + 1)
    }
    let bytes = statement.size
    for (const index of past) bytes += this.#entries[index]?.statement.size ?? 0
    return { statement, index: this.size, past, height, bytes }
  }

  /** The cheap questions first, signatures last: nobody can make others check signatures of what would be refused anyway. */
  #refusalOf(entry: Entry): Refusal | null {
    const { statement, past } = entry
    const before = this.#at(past)
    if (entry.bytes > (isAddition(statement) ? maxPastBytesOfAdditions : maxPastBytesOfRemovals)) {
      return 'too-many-bytes'
    }
    const identities = new Set([...before.map((other) => other.statement), statement].flatMap(identitiesIn))
    if (identities.size > maxIdentities) return 'too-many-identities'
    for (const { peer, number } of statement.signers) {
      if (before.some((other) => (numberOf(other.statement, peer) ?? 0) >= number)) return 'number-used'
    }
    const refusal = refusalByView(statement, this.#viewOfPast(entry, before))
    if (refusal !== null) return refusal
    const held = this.#heldBytes + statement.size
    if (held > (isAddition(statement) ? maxHeldBytesOfAdditions : maxHeldBytes)) return 'full'
    return this.#isSigned(statement) ? null : 'not-signed'
  }

  #viewOfPast({ statement }: Entry, before: readonly Entry[]): SetView {
    const key = statement.predecessors.join()
    const known = this.#views.get(key)
    if (known !== undefined) return known
    const view = new SetView(before)
    this.#views.set(key, view)
    for (const oldest of this.#views.keys()) {
      if (this.#views.size > maxKeptViews) this.#views.delete(oldest)
      else break
    }
    return view
  }

  #at(indices: BitSet): Entry[] {
    return [...indices].flatMap((index) => this.#entries[index] ?? [])
  }

  #entry(id: StatementId): Entry {
    const entry = this.#byId.get(id)
    if (entry === undefined) throw new RangeError(`there is no statement ${id}`)
    return entry
  }
}

/** What the view of its own past has against a statement. */
function refusalByView(statement: Statement, view: SetView): Refusal | null {
  const [first, second] = statement.signers
  if (statement.signers.some(({ peer }) => view.isRemoved(peer))) return 'signer-removed'
  if (isRemoval(statement)) {
    const { target } = statement
    if (!view.isLinked(target) || !view.areConnected(first.peer, target)) return 'not-a-member'
    if (view.isRemovedByOthers(target)) return 'already-removed'
  }
  if (second === undefined) return null
  const together = new Set([...view.members(first.peer), ...view.members(second.peer)])
  if (isRemoval(statement)) together.delete(statement.target)
  return together.size > maxMembers ? 'too-many-members' : null
}

function isAddition(statement: Statement): boolean {
  return !isRemoval(statement)
}

function numberOf({ signers }: Statement, signer: PeerId): number | undefined {
  return signers.find(({ peer }) => peer === signer)?.number
}

/** Puts statements after those among them that they follow. Hashes cannot follow each other in a circle. */
function inOrder(offered: ReadonlyMap<StatementId, Statement>): Statement[] {
  const ordered: Statement[] = []
  const missing = new Map<StatementId, number>()
  const followers = new Map<StatementId, Statement[]>()
  for (const statement of offered.values()) {
    const within = statement.predecessors.filter((id) => offered.has(id))
    missing.set(statement.id, within.length)
    for (const id of within) followers.set(id, [...(followers.get(id) ?? []), statement])
    if (within.length === 0) ordered.push(statement)
  }
  for (const { id } of ordered) {
    for (const follower of followers.get(id) ?? []) {
      const left = (missing.get(follower.id) ?? 0) - 1
      missing.set(follower.id, left)
      if (left === 0) ordered.push(follower)
    }
  }
  return ordered
}
