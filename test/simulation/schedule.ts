import assert from 'node:assert/strict'
import type { SimulatedDevice, Simulation } from '../../src/testing/index.ts'
import { World } from './world.ts'

export interface RunReport {
  /** Messages that were given to `send`. */
  sent: number
  /** Of them, those that were acknowledged, and are there once and in order. */
  acknowledged: number
  crashes: number
  revocations: number
}

/**
 * One random story of two to five devices, all of which follows from the simulation's seed. In the end every message that was acknowledged,
 * or was safely queued by a device that is still trusted, must be in the receiver's inbox once and in order, and both sides of every pair must mean the same.
 */
export async function runSchedule(simulation: Simulation): Promise<RunReport> {
  const world = new World(simulation)
  const chance = (share: number): boolean => simulation.random() < share
  const below = (limit: number): number => Math.floor(simulation.random() * limit)
  const pick = <Item>(items: readonly Item[]): Item => {
    const item = items[below(items.length)]
    assert.ok(item !== undefined)
    return item
  }
  const report = { sent: 0, acknowledged: 0, crashes: 0, revocations: 0 }

  const count = 2 + below(4)
  for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve'].slice(0, count)) await world.add(name)
  const { devices } = world
  // Behind a firewall as hosts have them: whoever is there may only be dialled by it.
  const walled = chance(0.4) ? pick(devices) : null
  if (walled !== null) simulation.firewall(walled, chance(0.5) ? 'drop' : 'reject')
  const pairs: [SimulatedDevice, SimulatedDevice][] = []
  for (const [index, device] of devices.entries()) {
    if (index === 0) continue
    const other = pick(devices.slice(0, index))
    await world.pair(device, other)
    pairs.push([device, other])
  }

  const anyPair = (): [SimulatedDevice, SimulatedDevice] => {
    const [one, other] = pick(pairs)
    return chance(0.5) ? [one, other] : [other, one]
  }
  const crash = (device: SimulatedDevice): void => {
    report.crashes++
    if (chance(0.4)) device.crash()
    else void device.crashAtWrite({ writes: below(6), moment: chance(0.5) ? 'before' : 'after' })
  }
  const restart = async (device: SimulatedDevice): Promise<void> => {
    if (!device.isRunning) await simulation.until(device.restart())
  }
  const restAll = async (): Promise<void> => {
    simulation.faults({})
    simulation.heal()
    for (const device of devices) {
      device.wake()
      // A crash that is planned and has not happened yet.
      if (device.isRunning && device.hasPlannedCrash) device.crash()
      await restart(device)
    }
  }

  const steps = 15 + below(25)
  for (let step = 0; step < steps; step++) {
    const what = simulation.random()
    if (what < 0.5) {
      const [from, to] = anyPair()
      const burst = chance(0.3) ? 1 + below(8) : 1
      for (let number = 0; number < burst; number++) world.send(from, to)
    } else if (what < 0.6) {
      const shuffled = devices.toSorted(() => simulation.random() - 0.5)
      simulation.partition(shuffled.slice(0, 1 + below(count - 1)), shuffled.slice(1 + below(count - 1)))
    } else if (what < 0.7) simulation.heal()
    else if (what < 0.78) {
      const device = pick(devices)
      if (device.isRunning) crash(device)
    } else if (what < 0.86) await restart(pick(devices))
    else if (what < 0.89) pick(devices).sleep()
    else if (what < 0.93) for (const device of devices) device.wake()
    else if (what < 0.95) pick(devices).move()
    else if (what < 0.96) pick(devices).setClock((simulation.random() - 0.5) * 2 * dayMs)
    else if (what < 0.985) {
      const most = chance(0.5) ? 20 : 400
      simulation.faults({
        delayMs: [1, 1 + below(most)],
        drop: chance(0.5) ? simulation.random() * 0.3 : 0,
        duplicate: chance(0.5) ? simulation.random() * 0.3 : 0,
      })
    } else {
      const [by, of] = anyPair()
      report.revocations++
      by.wake()
      await world.revoke(by, of)
      const next = simulation.random()
      if (next < 0.5) {
        await restAll()
        await world.pair(by, of)
      } else if (next < 0.75)
        await world.tryToPair(...(chance(0.5) ? ([by, of] as const) : ([of, by] as const)))
    }
    await simulation.pass(chance(0.6) ? below(50) : chance(0.7) ? below(3_000) : below(30_000))
    world.check()
  }

  await restAll()
  // A device that was revoked while it was away is told when it dials, and it cannot dial this one.
  if (walled !== null && report.revocations > 0) simulation.firewall(walled, 'open')
  for (const endMs = simulation.now() + patienceMs; !world.isComplete() || !world.agree();) {
    const why = world.agree() ? 'messages are still missing' : 'two sides still mean different things'
    assert.ok(simulation.now() < endMs, `${why} after three minutes`)
    await simulation.pass(500)
  }
  await simulation.pass(1_000)
  world.check()
  for (const { sent } of world.ledgers) {
    report.sent += sent.length
    report.acknowledged += sent.filter(({ outcome }) => outcome === 'delivered').length
  }
  return report
}

const patienceMs = 180_000
const dayMs = 24 * 3_600_000
