import type { SetRecord } from '../../src/set/record.ts'
import type { Statement } from '../../src/set/statement.ts'
import type { SetView } from '../../src/set/view.ts'
import type { Subject } from './broken.ts'
import { CanonicalForms } from './canonical-forms.ts'
import { identity, names, say, type Said } from './devices.ts'
import { Reference, same } from './reference.ts'

/**
 * Every record that so many identities can make of so many statements: each is signed on every past that there is, the whole record
 * (by who is honest and has heard all), a part of it (by who has not heard, was put back, or lies), and with the number that follows
 * in that past or one that its signer never gave before. Records that differ by the names of devices alone are one.
 */
export interface Bounds {
  /** 2 to 4. */
  identities: number
  statements: number
  /** Whether identities are replaced by others, too. */
  replacements: boolean
}

export interface Explored {
  records: number
  /** Statements that were tried, also those that are refused. */
  tried: number
  violation: { invariant: string; log: string[] } | null
}

/** A record of the exploration, and how it came to be. */
interface Node {
  statements: readonly Statement[]
  log: readonly string[]
}

const allNames = ['A', 'B', 'C', 'E']

export function exploreRecords(subject: Subject, bounds: Bounds): Explored {
  return new Exploration(subject, bounds).run()
}

class Exploration {
  readonly #subject: Subject
  readonly #bounds: Bounds
  readonly #names: readonly string[]
  readonly #canonical: CanonicalForms
  readonly #seen = new Set<string>()
  readonly #explored: Explored = { records: 0, tried: 0, violation: null }

  constructor(subject: Subject, bounds: Bounds) {
    this.#subject = subject
    this.#bounds = bounds
    this.#names = allNames.slice(0, bounds.identities)
    this.#canonical = new CanonicalForms(this.#names)
  }

  run(): Explored {
    let level: Node[] = [{ statements: [], log: [] }]
    for (let size = 0; size < this.#bounds.statements; size++) {
      const next: Node[] = []
      for (const node of level) {
        for (const grown of this.#grow(node)) {
          if (size + 1 < this.#bounds.statements) next.push(grown)
        }
        if (this.#explored.violation !== null) return this.#explored
      }
      level = next
    }
    return this.#explored
  }

  /** Returns the records that one statement more makes of this one, those alone that are new. */
  #grow({ statements, log }: Node): Node[] {
    const record = this.#recordOf(statements)
    const grown: Node[] = []
    const tried = new Set<string>()
    for (const past of this.#pasts(statements)) {
      const pastRecord = this.#recordOf(past)
      for (const said of this.#sayable()) {
        for (const statement of statementsOf(record, pastRecord, said)) {
          if (tried.has(statement.id) || record.has(statement.id)) continue
          tried.add(statement.id)
          this.#explored.tried++
          const entry = `${said.join(' ')} (having seen ${past.length} of ${statements.length})`
          const all = this.#admitted({ record, pastRecord, statement, log: [...log, entry] })
          if (this.#explored.violation !== null) return grown
          if (all === null || !this.#isNew(all)) continue
          this.#explored.records++
          this.#check(record, this.#recordOf(all), { statement, log: [...log, entry] })
          if (this.#explored.violation !== null) return grown
          grown.push({ statements: all, log: [...log, entry] })
        }
      }
    }
    return grown
  }

  /** What is admitted depends on what a statement follows alone: whoever holds more says the same. */
  #admitted({ record, pastRecord, statement, log }: Tried): Statement[] | null {
    const more = record.copy()
    const [here, there] = [more.admit(statement), pastRecord.copy().admit(statement)]
    if (here !== there) this.#violated(`who holds more says ${here}, who holds less ${there}`, log)
    if (here !== 'admitted') return null
    const removed = new Reference(pastRecord.statements()).removed()
    const late = statement.signers.find(({ peer }) => removed.has(peer))
    if (late !== undefined) this.#violated(`${names([late.peer])} signs what follows its removal`, log)
    return more.statements()
  }

  #check(
    before: SetRecord,
    after: SetRecord,
    { statement, log }: { statement: Statement; log: string[] },
  ): void {
    const statements = after.statements()
    const reference = new Reference(statements)
    const [old, view] = [before.view(), after.view()]
    const difference = reference.difference(view)
    if (difference !== null) return this.#violated(`the view is not that of the document: ${difference}`, log)
    const other = this.#recordOf(statements.toSorted((one, two) => (one.id < two.id ? -1 : 1)))
    const order = other.size === after.size ? reference.difference(other.view()) : 'size'
    if (order !== null) return this.#violated(`another order of arrival, another ${order}`, log)
    for (const peer of old.removed()) {
      if (!view.isRemoved(peer)) return this.#violated(`${names([peer])} is not removed any more`, log)
    }
    const fault =
      comesBack(view) ??
      comesIn(statements, view) ??
      goesAway({ old, view, statement }) ??
      this.#staysAway(after)
    if (fault !== null) this.#violated(fault, log)
  }

  /** One yes, by a member that knows all removals, brings back whoever is suspended. */
  #staysAway(record: SetRecord): string | null {
    const view = record.view()
    for (const one of this.#names) {
      for (const other of names(view.suspended(identity(one)))) {
        const healed = record.copy()
        const admission = healed.admit(say(healed, ['link', one, other]))
        const isBack = healed.view().members(identity(one)).has(identity(other))
        if (admission !== 'admitted' || !isBack) return `${other} stays suspended at ${one} after a yes`
      }
    }
    return null
  }

  #sayable(): Said[] {
    const said: Said[] = []
    for (const one of this.#names) {
      said.push(['leave', one])
      for (const other of this.#names) {
        if (one === other) continue
        if (one < other) said.push(['link', one, other])
        said.push(['remove', one, other])
        if (!this.#bounds.replacements) continue
        for (const old of this.#names)
          if (old !== one && old !== other) said.push(['replace', one, other, old])
      }
    }
    return said
  }

  /** Every set of statements that has what each of them follows. */
  #pasts(statements: readonly Statement[]): Statement[][] {
    let pasts: Statement[][] = [[]]
    for (const statement of statements) {
      pasts = pasts.flatMap((past) => {
        const fits = statement.predecessors.every((id) => past.some((before) => before.id === id))
        return fits ? [past, [...past, statement]] : [past]
      })
    }
    return pasts
  }

  #recordOf(statements: readonly Statement[]): SetRecord {
    const record = this.#subject.SetRecord.empty(() => true)
    record.admitAll(statements)
    return record
  }

  #isNew(statements: readonly Statement[]): boolean {
    const form = this.#canonical.of(statements)
    if (this.#seen.has(form)) return false
    this.#seen.add(form)
    return true
  }

  #violated(invariant: string, log: string[]): void {
    this.#explored.violation ??= { invariant, log }
  }
}

interface Tried {
  record: SetRecord
  pastRecord: SetRecord
  statement: Statement
  log: string[]
}

/** With the number that follows in its past, which a copy or a backup gives twice; and with one that was never given. */
function statementsOf(record: SetRecord, past: SetRecord, said: Said): Statement[] {
  const signers = said[0] === 'link' || said[0] === 'replace' ? [said[1], said[2]] : [said[1]]
  const fresh = Object.fromEntries(signers.map((name) => [name, record.nextNumber(identity(name)) ?? 0]))
  return [say(past, said, fresh), say(past, said)]
}

/** What is removed is nobody's member. */
function comesBack(view: SetView): string | null {
  for (const me of view.removed()) {
    if (view.members(me).size > 0) return `${names([me])} is removed, and has members`
  }
  for (const name of allNames) {
    const members = view.members(identity(name))
    for (const peer of view.removed())
      if (members.has(peer)) return `${names([peer])} is removed, and a member`
  }
  return null
}

/** Whom nobody removed, and links connect, are together; and one is a member of the other or neither is. */
function comesIn(statements: readonly Statement[], view: SetView): string | null {
  const peers = allNames.map(identity)
  const reference = new Reference(statements)
  for (const one of peers) {
    const reached = reference.reach(one, () => true)
    for (const other of peers) {
      if (view.members(one).has(other) !== view.members(other).has(one))
        return `${names([one, other])} disagree`
      if (view.removed().size > 0 || !reached.has(other) || one === other) continue
      if (!view.members(one).has(other))
        return `${names([one, other])} are apart, and nobody removed anything`
    }
  }
  return null
}

/** Nobody goes without a word: who was a member is one, or removed, or asked about; and only what removes parts anybody. */
function goesAway({
  old,
  view,
  statement,
}: {
  old: SetView
  view: SetView
  statement: Statement
}): string | null {
  const forks = statement.signers.some(({ peer }) => old.forkOf(peer) !== view.forkOf(peer))
  for (const me of allNames.map(identity)) {
    const [before, after] = [old.members(me), view.members(me)]
    if (same(before, after) || view.isRemoved(me)) continue
    for (const peer of before) {
      if (after.has(peer) || view.isRemoved(peer)) continue
      if (!view.suspended(me).has(peer)) return `${names([me])} lost ${names([peer])} without a word`
      if (statement.kind === 'link' && !forks) return `a link parted ${names([me, peer])}`
    }
    const gained = [...after].filter((peer) => !before.has(peer) && peer !== me)
    if (gained.length > 0 && statement.kind === 'remove') return `a removal brought ${names(gained)} in`
  }
  return null
}
