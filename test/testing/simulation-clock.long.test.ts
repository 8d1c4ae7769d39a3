import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import FakeTimers from '@sinonjs/fake-timers'
import * as v from 'valibot'
import { defineProtocol } from '../../src/index.ts'
import { createSimulation, simulate, type Simulation } from '../../src/testing/index.ts'

const slow = defineProtocol({ name: 'slow', version: 1, request: v.number(), response: v.number() })

describe("the simulation's clock", () => {
  test('comes to a timeout when time passes, and to an interval again and again, until they are cleared', async () => {
    await using simulation = createSimulation()
    const { clock } = simulation
    const startedAt = clock.now()
    const seen: string[] = []
    const note = (what: string): void => void seen.push(`${what} ${clock.now() - startedAt}`)
    clock.setTimeout(note, 250, 'timeout')
    const cleared = clock.setTimeout(note, 100, 'never')
    const interval = clock.setInterval(note, 100, 'interval')
    const once = clock.setTimeout(note, 120, 'never')
    clock.clearTimeout(cleared)
    clock.clearTimeout(Number(once))
    await simulation.pass(99)
    assert.deepEqual(seen, [])
    await simulation.pass(201)
    clock.clearInterval(interval)
    await simulation.pass(86_400_000)
    assert.deepEqual(seen, ['interval 100', 'interval 200', 'timeout 250', 'interval 300'])
    clock.clearTimeout(undefined)
  })

  test('lets `until` go on to what an application waits for', async () => {
    await using simulation = createSimulation()
    const waited = new Promise<string>((resolve) => simulation.clock.setTimeout(resolve, 3_600_000, 'there'))
    assert.equal(await simulation.until(waited, { withinMs: 3_600_000 }), 'there')
  })

  test('hands what a callback throws to who lets time pass', async () => {
    await using simulation = createSimulation()
    simulation.clock.setTimeout(() => {
      throw new RangeError('mine')
    }, 5)
    await assert.rejects(simulation.pass(10), RangeError)
  })

  test('takes the place of the global timers and of Date, and gives it back', async () => {
    const real = { setTimeout, clearTimeout, setInterval, clearInterval, Date }
    const simulation = createSimulation()
    const installed = simulation.clock.install()
    assert.throws(() => simulation.clock.install(), { code: 'invalid-argument' })
    await answersAfter(3_600_000, simulation)
    assert.equal(new Date().getTime(), simulation.clock.now())
    assert.ok(new Date(0) instanceof real.Date)
    assert.equal(new Date(2020, 1, 2, 3).getHours(), 3)
    installed.restore()
    installed.restore()
    for (const [name, value] of Object.entries(real)) assert.equal(Reflect.get(globalThis, name), value)
    simulation.clock.install()
    await simulation.close()
    for (const [name, value] of Object.entries(real)) assert.equal(Reflect.get(globalThis, name), value)
  })

  test('is not left behind by a story that fails', async () => {
    const real = setTimeout
    const failing = simulate({ seeds: 1 }, async ({ clock }) => {
      clock.install()
      throw new Error('mine')
    })
    await assert.rejects(failing, /mine/u)
    assert.equal(setTimeout, real)
  })
})

describe("another library's fake timers go with the simulation's time", () => {
  test('those of node:test', async (context) => {
    await using simulation = createSimulation()
    const { timers } = context.mock
    timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: simulation.clock.now() })
    const stop = simulation.onTime((passedMs) => timers.tick(passedMs))
    await answersAfter(600_000, simulation)
    stop()
  })

  test('those of @sinonjs/fake-timers, which are vitest’s', async () => {
    await using simulation = createSimulation()
    // What `vi.useFakeTimers({ now })` fakes, with setImmediate among it.
    const faked = FakeTimers.install({ now: simulation.clock.now(), toFake: vitestFakes })
    try {
      simulation.onTime((passedMs) => faked.tick(passedMs))
      await answersAfter(600_000, simulation)
    } finally {
      faked.uninstall()
    }
  })

  test('as late as `everyMs` says, and no more once it is stopped', async () => {
    await using simulation = createSimulation()
    const passed: number[] = []
    const stop = simulation.onTime((passedMs) => passed.push(passedMs), { everyMs: 100 })
    await simulation.pass(350)
    assert.deepEqual(passed, [100, 100, 100])
    stop()
    await simulation.pass(1_000)
    assert.equal(passed.length, 3)
    assert.throws(() => simulation.onTime(() => {}, { everyMs: 0 }), { code: 'invalid-argument' })
  })
})

const vitestFakes: FakeTimers.FakeMethod[] = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'Date',
]

/** An application with the global timers: a handler that waits by them, and reads the time. */
async function answersAfter(delayMs: number, simulation: Simulation): Promise<void> {
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone', {
    setUp: (node) =>
      void node.handle({
        ...slow,
        async handler(delayMs) {
          const startedAt = Date.now()
          await new Promise((resolve) => setTimeout(resolve, delayMs))
          return Date.now() - startedAt
        },
      }),
  })
  const { seenByOne } = await simulation.pair(laptop, phone)
  const before = simulation.now()
  const asked = seenByOne.request(slow, delayMs, { timeoutMs: Infinity })
  const answer = await simulation.until(asked, { withinMs: delayMs + 10_000 })
  assert.ok(answer >= delayMs && answer < delayMs + 100, String(answer))
  assert.ok(simulation.now() - before >= delayMs)
}
