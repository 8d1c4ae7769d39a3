import type { PeerId } from '../../src/pairing/peer-id.ts'
import type { SetView } from '../../src/set/view.ts'
import type { Statement, StatementId } from '../../src/set/statement.ts'

/** The definitions of decision 48, one by one, with sets of ids and without any haste. */
export class Reference {
  readonly #statements: ReadonlyMap<StatementId, Statement>
  readonly #pasts = new Map<StatementId, ReadonlySet<StatementId>>()

  /** `statements`: each after those it follows. */
  constructor(statements: readonly Statement[]) {
    this.#statements = new Map(statements.map((statement) => [statement.id, statement]))
    for (const { id, predecessors } of statements) {
      this.#pasts.set(id, new Set(predecessors.flatMap((before) => [before, ...this.past(before)])))
    }
  }

  past(id: StatementId): ReadonlySet<StatementId> {
    const past = this.#pasts.get(id)
    if (past === undefined) throw new Error('a statement without one that it follows')
    return past
  }

  identities(): PeerId[] {
    return [
      ...new Set(this.#all().flatMap((statement) => [...signersOf(statement), ...targetsOf(statement)])),
    ]
  }

  removed(): Set<PeerId> {
    return new Set([
      ...this.#all().flatMap(targetsOf),
      ...this.identities().filter((peer) => this.#forksOf(peer).length > 0),
    ])
  }

  conducts(link: Statement): boolean {
    return signersOf(link).every((end) => {
      const removals = this.#all().filter(
        (statement) => targetsOf(statement).includes(end) && !signersOf(statement).includes(end),
      )
      const number = numberOf(link, end) ?? 0
      return (
        removals.every(({ id }) => this.past(id).has(link.id)) &&
        this.#forksOf(end).every((fork) => number < fork)
      )
    })
  }

  links(): Statement[] {
    return this.#all().filter(({ kind }) => kind !== 'remove')
  }

  /** Everybody to whom links of a kind lead from one. */
  reach(from: PeerId, counts: (link: Statement) => boolean): Set<PeerId> {
    const reached = new Set([from])
    const links = this.links().filter(counts)
    for (const peer of reached) {
      for (const link of links)
        if (signersOf(link).includes(peer)) signersOf(link).forEach((end) => reached.add(end))
    }
    return reached
  }

  members(me: PeerId): Set<PeerId> {
    const removed = this.removed()
    if (removed.has(me)) return new Set()
    return without(
      this.reach(me, (link) => this.conducts(link)),
      removed,
    )
  }

  suspended(me: PeerId): Set<PeerId> {
    const removed = this.removed()
    if (removed.has(me)) return new Set()
    const connected = this.reach(me, (link) => this.conducts(link))
    return without(
      without(
        this.reach(me, () => true),
        removed,
      ),
      connected,
    )
  }

  /** What a view says otherwise; null when nothing. */
  difference(view: SetView): string | null {
    if (!same(view.removed(), this.removed())) return 'removed'
    for (const me of this.identities()) {
      if (!same(view.members(me), this.members(me))) return 'members'
      if (!same(view.suspended(me), this.suspended(me))) return 'suspended'
    }
    return null
  }

  #all(): Statement[] {
    return [...this.#statements.values()]
  }

  #forksOf(peer: PeerId): number[] {
    const numbers = this.#all().flatMap((statement) => numberOf(statement, peer) ?? [])
    return numbers.filter((number, index) => numbers.indexOf(number) !== index)
  }
}

export function same<Value>(one: ReadonlySet<Value>, other: ReadonlySet<Value>): boolean {
  return one.size === other.size && [...one].every((value) => other.has(value))
}

function without<Value>(all: ReadonlySet<Value>, some: ReadonlySet<Value>): Set<Value> {
  return new Set([...all].filter((value) => !some.has(value)))
}

function signersOf({ signers }: Statement): PeerId[] {
  return signers.map(({ peer }) => peer)
}

function targetsOf(statement: Statement): PeerId[] {
  return statement.kind === 'link' ? [] : [statement.target]
}

function numberOf({ signers }: Statement, signer: PeerId): number | undefined {
  return signers.find(({ peer }) => peer === signer)?.number
}
