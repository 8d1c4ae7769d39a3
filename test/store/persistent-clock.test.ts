import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase, type Database } from '../../src/store/database.ts'
import { openPersistentClock, type PersistentClock } from '../../src/store/persistent-clock.ts'

const hourMs = 3_600_000

/** Runs of a program over one database; `wallMs` and `passedMs` are what its clocks show, and are set by the test. */
class Machine {
  wallMs = 1_700_000_000_000
  passedMs = 0
  readonly #database: Database = openDatabase(':memory:', { mayCreate: true })

  start(): PersistentClock {
    return openPersistentClock(this.#database, { wall: () => this.wallMs, monotonic: () => this.passedMs })
  }

  pass(durationMs: number): void {
    this.wallMs += durationMs
    this.passedMs += durationMs
  }
}

test('it counts the time that passes while the program runs, and while it does not', () => {
  const machine = new Machine()
  const first = machine.start()
  const start = first.now()
  machine.pass(hourMs)
  assert.equal(first.now(), start + hourMs)
  first.keep()
  machine.wallMs += 3 * hourMs
  machine.passedMs = 17
  const second = machine.start()
  assert.equal(second.now(), start + 4 * hourMs)
  machine.pass(hourMs)
  assert.equal(second.now(), start + 5 * hourMs)
})

test('setting the wall clock while the program runs does nothing, in either direction', () => {
  for (const jumpMs of [-1_000 * hourMs, 1_000 * hourMs]) {
    const machine = new Machine()
    const clock = machine.start()
    clock.keep()
    const start = clock.now()
    machine.wallMs += jumpMs
    machine.pass(hourMs)
    assert.equal(clock.now(), start + hourMs)
    // Not even when the program is killed and starts again.
    clock.keepNowAndThen()
    machine.passedMs = 0
    assert.equal(machine.start().now(), start + hourMs)
  }
})

test('a crash with the wall clock set back loses no more than has passed since it was written down', () => {
  const machine = new Machine()
  const clock = machine.start()
  machine.pass(hourMs)
  clock.keepNowAndThen()
  const kept = clock.now()
  machine.pass(30_000)
  clock.keepNowAndThen()
  machine.wallMs -= 5 * hourMs
  machine.passedMs = 0
  assert.equal(machine.start().now(), kept)
})

test('it never goes back, also when the wall clock did while the program was not running', () => {
  const machine = new Machine()
  const clock = machine.start()
  clock.keep()
  const before = clock.now()
  machine.wallMs -= 1_000 * hourMs
  assert.equal(machine.start().now(), before)
})

test('what it has counted is told as a time of day of the wall clock that people see', () => {
  const machine = new Machine()
  const clock = machine.start()
  const inOneHour = clock.now() + hourMs
  machine.wallMs += 24 * hourMs
  assert.equal(clock.wallAt(inOneHour), machine.wallMs + hourMs)
})
