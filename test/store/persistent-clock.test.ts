import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase, type Database } from '../../src/store/database.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { openPersistentClock, type PersistentClock } from '../../src/store/persistent-clock.ts'

const hourMs = 3_600_000

/** Runs of a program over one database; `wallMs` and `passedMs` are what its clocks show, and are set by the test. */
class Machine {
  wallMs = 1_700_000_000_000
  passedMs = 0
  /** Null: the machine does not say when it was started. */
  bootId: string | null = null
  readonly #database: Database = openDatabase(':memory:', { mayCreate: true })

  start(): PersistentClock {
    return openPersistentClock(this.#database, {
      wall: () => this.wallMs,
      monotonic: () => this.passedMs,
      bootId: () => this.bootId,
    })
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

test('between two runs without the machine being off, the clock since its start counts, and no other', () => {
  for (const jumpMs of [-1_000 * hourMs, 1_000 * hourMs]) {
    const machine = new Machine()
    machine.bootId = 'first'
    const first = machine.start()
    const start = first.now()
    first.keep()
    machine.wallMs += jumpMs
    // Killed before anybody could notice that the clock was set.
    machine.pass(50 * hourMs)
    const second = machine.start()
    assert.equal(second.now(), start + 50 * hourMs)
    second.keepNowAndThen()
    machine.pass(hourMs)
    assert.equal(machine.start().now(), start + 51 * hourMs)
  }
})

test('a machine that was off is believed to have been so for a day at most', () => {
  for (const bootId of ['second', null]) {
    const machine = new Machine()
    machine.bootId = 'first'
    const first = machine.start()
    const start = first.now()
    machine.wallMs += 1_000 * hourMs
    machine.passedMs = 5_000
    machine.bootId = bootId
    const second = machine.start()
    assert.equal(second.now(), start + 24 * hourMs)
    // That is the new beginning: it is not counted again.
    second.keepNowAndThen()
    machine.passedMs = 0
    machine.bootId = bootId === null ? null : 'third'
    assert.equal(machine.start().now(), start + 24 * hourMs)
  }
})

test('another machine of the same name, or a clock that began anew, is no evidence', () => {
  const machine = new Machine()
  machine.bootId = 'first'
  machine.passedMs = 10 * hourMs
  const first = machine.start()
  const start = first.now()
  machine.passedMs = hourMs
  machine.wallMs += hourMs
  assert.equal(machine.start().now(), start + hourMs)
})

test('a wall clock that is set is noticed when it is set, though nothing is written', async () => {
  const time = virtualClock()
  const database = openDatabase(':memory:', { mayCreate: true })
  const clock = openPersistentClock(database, time)
  const start = clock.now()
  // The wall clock alone goes on, as when it is set.
  time.sleep(1_000 * hourMs)
  await time.pass(30_000)
  clock.close()
  assert.equal(time.pending(), 0)
  const again = openPersistentClock(database, { wall: () => time.wall(), monotonic: () => 0 })
  assert.equal(again.now(), start + 30_000)
})
