import type { PeerId } from '../../src/pairing/peer-id.ts'
import type { SetRecord } from '../../src/set/record.ts'
import type { Statement } from '../../src/set/statement.ts'
import type { Subject } from './broken.ts'
import { identity, names, say, type Numbers, type Said } from './devices.ts'
import { Reference } from './reference.ts'

/**
 * A random story of two to six devices that are paired, removed, replaced, put back from a backup, that meet or do not, and in half of
 * the stories of a thief with one of them, T, and a device of his own, D: he signs on whatever past he likes, shows what he likes, and
 * keeps nothing that he is told to.
 */

export interface Told {
  /** What is wrong, or null. */
  fault: string | null
  /** What happened, for people. */
  log: string[]
  suspended: number
  removed: number
}

interface Device {
  readonly name: string
  record: SetRecord
  /** Last number it signed with, which it never forgets but when a backup is put back. */
  lastNumber: number
  backup: { record: SetRecord; lastNumber: number } | null
  /** Devices that it ever saw as removed, and as its own: since the backup. */
  everRemoved: Set<PeerId>
  everMembers: Set<PeerId>
}

const honestNames = ['A', 'B', 'C', 'E', 'F', 'G']
const thievish = ['T', 'D']
const steps = 24
const maxRounds = 12

export function tellStory(subject: Subject, seed: number): Told {
  const story = new Story(subject, seed)
  return story.tell()
}

class Story {
  readonly #subject: Subject
  readonly #random: () => number
  readonly #honest: Device[]
  readonly #thieves: Device[]
  readonly #log: string[] = []
  #replacements = 0
  #suspended = 0
  #fault: string | null = null

  constructor(subject: Subject, seed: number) {
    this.#subject = subject
    this.#random = generator(seed)
    const count = 2 + this.#below(5)
    const hasThief = this.#below(2) === 1
    this.#honest = honestNames
      .slice(0, Math.max(2, count - (hasThief ? 1 : 0)))
      .map((name) => this.#device(name))
    this.#thieves = hasThief ? thievish.map((name) => this.#device(name)) : []
  }

  tell(): Told {
    const fault = this.#tell()
    const removed = this.#honest.filter((device) => isRemoved(device, device)).length
    return { fault, log: this.#log, suspended: this.#suspended, removed }
  }

  #tell(): string | null {
    this.#grow()
    for (let step = 0; step < steps; step++) {
      this.#step()
      const fault = this.#fault ?? this.#remembered()
      if (fault !== null) return fault
    }
    return this.#meetAll() ?? this.#fault ?? this.#remembered() ?? this.#settled() ?? this.#oneYes()
  }

  /** Pairs them, some before they have met all the others. */
  #grow(): void {
    const all = [...this.#honest, ...this.#thieves.slice(0, 1)]
    for (const [index, device] of all.entries()) {
      if (index > 0) this.#pair(this.#pick(all.slice(0, index)), device)
      for (let times = this.#below(4); times > 0; times--) this.#meet(this.#pick(all), this.#pick(all))
    }
  }

  #step(): void {
    const one = this.#pick(this.#honest)
    const other = this.#pick([...this.#honest, ...this.#thieves.slice(0, 1)])
    const chance = this.#below(20)
    if (chance < 10) this.#meet(one, other)
    else if (chance < 12) this.#remove(one, other)
    else if (chance < 13) this.#pair(one, this.#pick(this.#honest))
    else if (chance < 14) this.#replace(one)
    else if (chance < 15) one.backup = { record: one.record.copy(), lastNumber: one.lastNumber }
    else if (chance < 16) this.#putBack(one)
    else if (this.#thieves.length > 0) this.#steal()
  }

  /** The people at both say yes: what each holds is in both, and so is the link. */
  #pair(one: Device, other: Device): void {
    if (one === other || [one, other].some((x) => isRemoved(x, one) || isRemoved(x, other))) return
    const both = one.record.copy()
    both.admitAll(other.record.statements())
    if ([one, other].some(({ name }) => both.view().isRemoved(identity(name)))) return
    const link = this.#say(both, ['link', one.name, other.name], [one, other])
    if (both.admit(link) !== 'admitted') return
    for (const device of [one, other]) device.record = both.copy()
    this.#log.push(`pair ${one.name} ${other.name}`)
  }

  #remove(one: Device, other: Device): void {
    if (!one.record.view().members(identity(one.name)).has(identity(other.name))) return
    const said: Said = one === other ? ['leave', one.name] : ['remove', one.name, other.name]
    if (one === other && this.#below(3) > 0) return
    if (one.record.admit(this.#say(one.record, said, [one])) === 'admitted') this.#log.push(said.join(' '))
  }

  /** A device that is out comes back under a new identity, by the yes of a member. */
  #replace(one: Device): void {
    const old = this.#honest.find((device) => device !== one && isRemoved(device, device))
    if (old === undefined || isRemoved(one, one)) return
    const fresh = this.#device(`${old.name}${++this.#replacements}`)
    const said: Said = ['replace', one.name, fresh.name, old.name]
    const both = one.record.copy()
    if (both.admit(this.#say(both, said, [one, fresh])) !== 'admitted') return
    one.record = both
    fresh.record = both.copy()
    this.#honest.splice(this.#honest.indexOf(old), 1, fresh)
    this.#log.push(said.join(' '))
  }

  /** It signs with numbers that it gave before, and knows nothing of what it was told since. */
  #putBack(one: Device): void {
    if (one.backup === null) return
    one.record = one.backup.record.copy()
    one.lastNumber = one.backup.lastNumber
    one.everMembers = new Set()
    one.everRemoved = new Set()
    this.#log.push(`put back ${one.name}`)
  }

  #meet(one: Device, other: Device): void {
    if (one === other) return
    const before = one.record.size + other.record.size
    const { handOver } = this.#subject
    // Who calls shows its record; who is called shows its own to a member alone, and to others why they are none.
    const shown = this.#offer(one)
    const isTaken = this.#hear(other, one, shown)
    const answer = isTaken ? this.#offer(other) : handOver(other.record, identity(one.name), shown)
    const takes = this.#hear(one, other, answer)
    if (!takes) this.#hear(other, one, handOver(one.record, identity(other.name), answer))
    if (one.record.size + other.record.size > before) this.#log.push(`meet ${one.name} ${other.name}`)
  }

  /** Thieves show what they like of what they have, also what is long past. */
  #offer(device: Device): Statement[] {
    const all = device.record.statements()
    if (!this.#thieves.includes(device) || this.#below(2) === 0) return all
    return device.record.closure(all.filter(() => this.#below(2) === 0).map(({ id }) => id))
  }

  /** Returns whether it took the other for a member. */
  #hear(device: Device, other: Device, offered: readonly Statement[]): boolean {
    if (this.#thieves.includes(device)) {
      device.record.admitAll(offered)
      return true
    }
    const wasRemoved = isRemoved(device, other)
    const before = device.record.size
    const shuffled = offered.toSorted(() => this.#random() - 0.5)
    const { taken, record } = this.#subject.take(
      device.record,
      identity(device.name),
      identity(other.name),
      shuffled,
    )
    device.record = record
    if (wasRemoved && record.size > before) {
      this.#fault = `${device.name} listened to ${other.name}, which was removed`
    }
    return taken === 'all'
  }

  /** T links D, removes or replaces somebody, by any past that it knows and with any number. */
  #steal(): void {
    const [thief, own] = this.#thieves as [Device, Device]
    const signer = this.#below(4) === 0 ? own : thief
    const statements = thief.record.statements()
    const past = this.#subject.SetRecord.empty(() => true)
    const kept = this.#below(2) === 0 ? statements : statements.filter(() => this.#below(3) === 0)
    past.admitAll(thief.record.closure(kept.map(({ id }) => id)))
    const number = (past.nextNumber(identity(signer.name)) ?? 0) + this.#below(3)
    const victim = this.#pick(this.#honest).name
    const said = this.#pick<Said>([
      ['link', thief.name, own.name],
      ['remove', signer.name, victim],
      ['leave', signer.name],
      ['replace', thief.name, own.name, victim],
    ])
    const statement = say(past, said, { [signer.name]: number })
    if (thief.record.admit(statement) === 'admitted') this.#log.push(`thief: ${said.join(' ')}`)
    own.record.admitAll(thief.record.statements())
    for (const device of this.#thieves) this.#meet(device, this.#pick(this.#honest))
  }

  /** Invariants that hold at every moment: nothing removed comes back, nobody goes without a word, the view is that of the document. */
  #remembered(): string | null {
    for (const device of this.#honest) {
      const view = device.record.view()
      const me = identity(device.name)
      const removed = view.removed()
      const members = view.members(me)
      for (const peer of removed) device.everRemoved.add(peer)
      for (const peer of members) device.everMembers.add(peer)
      for (const peer of device.everRemoved) {
        if (!removed.has(peer) || members.has(peer)) return `${names([peer])} came back at ${device.name}`
      }
      if (removed.has(me)) continue
      const suspended = view.suspended(me)
      for (const peer of device.everMembers) {
        if (!members.has(peer) && !suspended.has(peer) && !removed.has(peer)) {
          return `${device.name} lost ${names([peer])} without a word`
        }
      }
    }
    return null
  }

  /** Everybody honest meets everybody until nothing is new. */
  #meetAll(): string | null {
    for (let round = 0; round < maxRounds; round++) {
      const before = this.#honest.map(({ record }) => record.size).join()
      for (const one of this.#honest) {
        for (const other of this.#honest) if (one.name < other.name) this.#meet(one, other)
      }
      if (before === this.#honest.map(({ record }) => record.size).join()) return null
    }
    return 'meetings that never end'
  }

  /** When all have met. */
  #settled(): string | null {
    for (const one of this.#honest) {
      const view = one.record.view()
      const reference = new Reference(one.record.statements())
      const difference = reference.difference(view)
      if (difference !== null) return `the view of ${one.name} differs: ${difference}`
      for (const peer of view.removed()) {
        if (view.members(identity(one.name)).has(peer)) return `${names([peer])} is removed, and a member`
      }
      for (const other of this.#honest) {
        const [is, says] = [isMember(one, other), isMember(other, one)]
        if (is !== says) return `${one.name} and ${other.name} disagree`
        if (is && !holdTheSame(one.record, other.record)) {
          return `${one.name} and ${other.name} hold different records`
        }
      }
    }
    return null
  }

  /** Whoever is suspended is back by one yes, with all who are connected with it. */
  #oneYes(): string | null {
    for (const one of this.#honest) {
      for (const other of this.#honest) {
        if (one === other || !one.record.view().suspended(identity(one.name)).has(identity(other.name)))
          continue
        this.#suspended++
        const both = one.record.copy()
        both.admitAll(other.record.statements())
        if ([one, other].some(({ name }) => both.view().isRemoved(identity(name)))) continue
        this.#pair(one, other)
        if (!isMember(one, other) || !isMember(other, one)) {
          return `${other.name} stays suspended at ${one.name} after a yes`
        }
        const fault = this.#meetAll() ?? this.#settled()
        if (fault !== null) return `after a yes: ${fault}`
      }
    }
    return null
  }

  #say(record: SetRecord, said: Said, signers: readonly Device[]): Statement {
    const numbers: Record<string, number> = {}
    for (const device of signers) {
      device.lastNumber = record.nextNumber(identity(device.name), device.lastNumber) ?? 0
      numbers[device.name] = device.lastNumber
    }
    return say(record, said, numbers satisfies Numbers)
  }

  #device(name: string): Device {
    return {
      name,
      record: this.#subject.SetRecord.empty(() => true),
      lastNumber: 0,
      backup: null,
      everRemoved: new Set(),
      everMembers: new Set(),
    }
  }

  #pick<Value>(values: readonly Value[]): Value {
    return values[this.#below(values.length)] as Value
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

function isRemoved(at: Device, device: Device): boolean {
  return at.record.view().isRemoved(identity(device.name))
}

function isMember(at: Device, device: Device): boolean {
  if (at === device) return !isRemoved(at, at)
  return at.record.view().members(identity(at.name)).has(identity(device.name))
}

function holdTheSame(one: SetRecord, other: SetRecord): boolean {
  return one.size === other.size && one.statements().every(({ id }) => other.has(id))
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
