import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { handOver, take } from '../../src/set/border.ts'
import type { SetRecord } from '../../src/set/record.ts'
import type { Statement, StatementId } from '../../src/set/statement.ts'
import { emptyRecord, identity, names, say, tell, unsigned, type Numbers, type Said } from './devices.ts'

/** Devices by name, each with a record of its own; A, B, C and X are honest, T was stolen, D is the thief's. */
class Devices {
  readonly #records = new Map<string, SetRecord>()

  record(name: string): SetRecord {
    const record = this.#records.get(name) ?? emptyRecord()
    this.#records.set(name, record)
    return record
  }

  /** Those who sign hold what they sign. */
  say(said: Said, numbers: Numbers = {}): Statement {
    const signers = said[0] === 'link' || said[0] === 'replace' ? [said[1], said[2]] : [said[1]]
    return tell(
      signers.map((name) => this.record(name)),
      said,
      numbers,
    )
  }

  /** Two meet: the rules of the border, both ways, and whoever is refused is handed why. */
  meet(one: string, other: string): string {
    const [a, b] = [this.record(one), this.record(other)]
    const [offeredA, offeredB] = [a.statements(), b.statements()]
    const taken = take(a, identity(one), identity(other), offeredB)
    const back = take(b, identity(other), identity(one), offeredA)
    const handedA = taken.taken === 'all' ? offeredA : handOver(taken.record, identity(other), offeredB)
    const handedB = back.taken === 'all' ? offeredB : handOver(back.record, identity(one), offeredA)
    this.#records.set(one, take(a, identity(one), identity(other), handedB).record)
    this.#records.set(other, take(b, identity(other), identity(one), handedA).record)
    return this.members(one)
  }

  members(name: string): string {
    return names(this.record(name).view().members(identity(name)))
  }

  suspended(name: string): string {
    return names(this.record(name).view().suspended(identity(name)))
  }

  /** The same device later, or another with its disk. */
  set(name: string, record: SetRecord): void {
    this.#records.set(name, record.copy())
  }
}

function chain(...links: string[]): Devices {
  const devices = new Devices()
  for (const [one = '', other = ''] of links) devices.say(['link', one, other])
  const everybody = [...new Set(links.join(''))]
  for (const one of [...everybody, ...everybody]) {
    for (const other of everybody) if (one !== other) devices.meet(one, other)
  }
  return devices
}

describe('worked cases', () => {
  test('a third device that is paired with one is with all', () => {
    const devices = chain('AB', 'BC')
    for (const name of 'ABC') assert.equal(devices.members(name), 'ABC')
    const introductions = devices.record('A').view().introductions(identity('A'))
    assert.equal(introductions.get(identity('C'))?.by, identity('B'))
    const other = devices.record('C').view().introductions(identity('C'))
    assert.equal(other.get(identity('A'))?.by, identity('B'))
  })

  test('two sets that meet: one came with the other, by the link that joined them', () => {
    const devices = chain('AB', 'CX')
    const joined = devices.say(['link', 'B', 'C'])
    devices.meet('A', 'B')
    assert.equal(devices.members('A'), 'ABCX')
    const introductions = devices.record('A').view().introductions(identity('A'))
    assert.equal(introductions.get(identity('X'))?.by, identity('C'))
    assert.equal(introductions.get(identity('X'))?.link.id, joined.id)
  })

  test('A removes T while B links T again: it is out, whatever is replayed', () => {
    const devices = chain('AB', 'AT')
    devices.say(['remove', 'A', 'T'])
    devices.say(['link', 'B', 'T'])
    assert.equal(devices.members('B'), 'ABT')
    devices.meet('A', 'B')
    for (const name of 'AB') assert.equal(devices.members(name), 'AB')
    const old = chain('AB', 'AT').record('T')
    assert.equal(take(devices.record('A'), identity('A'), identity('T'), old.statements()).taken, 'nothing')
    devices.meet('B', 'T')
    assert.equal(devices.members('B'), 'AB')
    assert.equal(devices.members('T'), '')
  })

  test('T linked X, A removes T without having seen it: X is suspended, and one yes brings it back', () => {
    const devices = chain('AB', 'AT')
    devices.say(['link', 'T', 'X'])
    devices.meet('B', 'X')
    devices.say(['remove', 'A', 'T'])
    devices.meet('A', 'B')
    for (const name of 'AB') {
      assert.equal(devices.members(name), 'AB')
      assert.equal(devices.suspended(name), 'X')
    }
    devices.meet('X', 'A')
    assert.equal(devices.members('X'), 'X')
    assert.equal(devices.suspended('X'), 'AB')
    devices.say(['link', 'A', 'X'])
    devices.meet('A', 'B')
    for (const name of 'ABX') assert.equal(devices.members(name), 'ABX')
    assert.equal(devices.suspended('A'), '')
  })

  test('A had seen that T linked X: X stays', () => {
    const devices = chain('AB', 'AT', 'TX')
    devices.say(['remove', 'A', 'T'])
    for (const [one = '', other = ''] of ['AX', 'AB']) devices.meet(one, other)
    for (const name of 'ABX') assert.equal(devices.members(name), 'ABX')
    assert.equal(
      devices.record('A').view().introductions(identity('A')).get(identity('X'))?.by,
      identity('T'),
    )
  })

  test('A and T remove each other: both are out for whoever hears both, and who heard one refuses the other', () => {
    const devices = chain('AB', 'AT', 'BC')
    devices.say(['remove', 'A', 'T'])
    devices.say(['remove', 'T', 'A'])
    devices.meet('B', 'A')
    devices.meet('C', 'T')
    devices.meet('B', 'T')
    assert.equal(devices.members('B'), 'ABC')
    assert.equal(devices.members('C'), 'BCT')
    devices.meet('B', 'C')
    for (const name of 'BC') {
      assert.equal(devices.members(name), 'BC')
      assert.equal(names(devices.record(name).view().removed()), 'AT')
    }
  })

  test('a thief in T links D and removes A: A is out, D suspended when T is removed elsewhere, A comes back as a new identity', () => {
    const devices = chain('AB', 'AT')
    devices.say(['link', 'T', 'D'])
    devices.say(['remove', 'T', 'A'])
    devices.meet('A', 'T')
    assert.equal(devices.members('A'), '')
    devices.say(['remove', 'B', 'T'])
    devices.meet('B', 'A')
    assert.equal(devices.members('B'), 'B')
    assert.equal(devices.suspended('B'), 'D')
    devices.say(['link', 'B', 'N'])
    assert.equal(devices.members('B'), 'BN')
  })

  test('T, long removed, back-dates a removal: it counts if a member that has not heard carries it', () => {
    const devices = chain('AB', 'AT', 'BC')
    devices.say(['remove', 'A', 'T'])
    devices.meet('A', 'B')
    devices.say(['remove', 'T', 'A'])
    assert.equal(devices.meet('B', 'T'), 'ABC', 'B has heard, and takes nothing from T')
    devices.meet('C', 'T')
    devices.meet('B', 'C')
    assert.equal(devices.members('B'), 'BC')
  })

  test('a year stale: what a removed device linked since is suspended', () => {
    const devices = chain('AB', 'BC')
    devices.say(['link', 'B', 'X'])
    devices.meet('C', 'B')
    devices.say(['remove', 'A', 'B'])
    devices.meet('A', 'C')
    assert.equal(devices.members('A'), 'AC')
    assert.equal(devices.suspended('A'), 'X')
  })

  test('A removed T; B, which has not heard, joins Q: T is out for Q when the word comes, Q stays', () => {
    const devices = chain('AB', 'BT')
    devices.say(['remove', 'A', 'T'])
    devices.say(['link', 'B', 'Q'])
    assert.equal(devices.members('Q'), 'ABQT')
    devices.meet('A', 'Q')
    assert.equal(devices.members('Q'), 'ABQ')
    assert.equal(devices.members('A'), 'ABQ')
  })

  test('a clone that signs: one number twice, the identity is out, its earlier links stand, a replacement brings the device back', () => {
    const devices = chain('AB', 'BC')
    const backup = devices.record('B').copy()
    devices.say(['link', 'B', 'X'])
    devices.meet('A', 'B')
    tell([backup], ['remove', 'B', 'C'])
    const merged = devices.record('A').copy()
    merged.admitAll(backup.statements())
    assert.equal(names(merged.view().removed()), 'BC')
    assert.equal(names(merged.view().members(identity('A'))), 'A')
    assert.equal(names(merged.view().suspended(identity('A'))), 'X')
    tell([merged], ['replace', 'A', 'N', 'B'])
    assert.equal(names(merged.view().members(identity('A'))), 'AN')
  })

  test('whoever leaves suspends nobody, and can be removed all the same', () => {
    const devices = chain('AB', 'BC')
    const late = say(devices.record('B'), ['link', 'B', 'X'], { B: 9 })
    devices.say(['leave', 'B'])
    devices.meet('A', 'B')
    const record = devices.record('A')
    assert.equal(record.admit(late), 'admitted')
    assert.equal(devices.members('A'), 'ACX')
    const before = chain('AB', 'BC').record('A')
    before.admitAll([...devices.record('B').statements()])
    tell([before], ['remove', 'A', 'B'])
    before.admit(late)
    assert.equal(names(before.view().members(identity('A'))), 'AC')
  })

  test('a statement of one that its own past removed is none', () => {
    const devices = chain('AB', 'AT')
    const record = devices.record('A').copy()
    tell([record], ['remove', 'A', 'T'])
    for (const said of [
      ['link', 'T', 'D'],
      ['remove', 'T', 'A'],
      ['replace', 'T', 'D', 'A'],
    ] as const) {
      assert.equal(record.admit(say(record, said)), 'signer-removed')
    }
    assert.equal(record.admit(say(record, ['remove', 'Z', 'A'])), 'not-a-member')
    assert.equal(record.admit(say(record, ['leave', 'Z'])), 'not-a-member')
    assert.equal(record.admit(say(record, ['remove', 'B', 'T'])), 'already-removed')
    assert.equal(record.admit(say(record, ['link', 'A', 'Z'], { A: 1 })), 'number-used')
    const predecessors = ['0'.repeat(64) as StatementId]
    const alone = unsigned({ ...say(record, ['link', 'A', 'Z']), predecessors })
    assert.equal(record.admit(alone), 'predecessor-missing')
  })
})
