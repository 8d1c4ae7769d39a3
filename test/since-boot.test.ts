import assert from 'node:assert/strict'
import test from 'node:test'
import { SinceBoot } from '../src/since-boot.ts'

/** A machine that runs, sleeps and has its wall clock set; counts how often the system is asked. */
class Machine {
  asked = 0
  #monotonicMs = 5_000
  #wallMs = 1_800_000_000_000
  #uptimeMs = 90_000
  readonly #resolutionMs: number
  readonly sinceBoot = new SinceBoot({
    monotonic: () => this.#monotonicMs,
    wall: () => Math.trunc(this.#wallMs),
    uptime: () => {
      this.asked++
      return Math.floor(this.#uptimeMs / this.#resolutionMs) * this.#resolutionMs
    },
  })

  constructor(resolutionMs = 10) {
    this.#resolutionMs = resolutionMs
  }

  run(ms: number): void {
    this.#monotonicMs += ms
    this.sleep(ms)
  }

  sleep(ms: number): void {
    this.#wallMs += ms
    this.#uptimeMs += ms
  }

  setWallClock(byMs: number): void {
    this.#wallMs += byMs
  }
}

test('the system is asked once a second, and the time goes on in between', () => {
  const machine = new Machine()
  const times: number[] = []
  for (let call = 0; call < 3_000; call++, machine.run(1)) times.push(machine.sinceBoot.now())
  assert.equal(machine.asked, 3)
  assert.deepEqual(
    times,
    times.map((_, index) => 90_000 + index),
  )
})

test('a sleep counts at the next call', () => {
  const machine = new Machine()
  machine.sinceBoot.now()
  machine.run(10)
  machine.sleep(3_600_000)
  assert.equal(machine.sinceBoot.now(), 90_000 + 3_600_010)
})

test('a wall clock that is set has the system asked, and changes nothing', () => {
  const machine = new Machine()
  machine.sinceBoot.now()
  machine.setWallClock(-86_400_000)
  machine.run(30)
  assert.equal(machine.sinceBoot.now(), 90_030)
  assert.equal(machine.asked, 2)
})

test('a sleep that a wall clock set back hides counts within a second of running time', () => {
  const machine = new Machine()
  machine.sinceBoot.now()
  machine.sleep(60_000)
  machine.setWallClock(-60_000)
  machine.run(1_000)
  assert.equal(machine.sinceBoot.now(), 90_000 + 61_000)
})

test('answers in whole seconds never turn the time back', () => {
  const machine = new Machine(1_000)
  let last = 0
  for (let call = 0; call < 500; call++, machine.run(37)) {
    const now = machine.sinceBoot.now()
    assert.ok(now >= last && now <= 90_000 + call * 37, `${now} after ${last}`)
    last = now
  }
})
