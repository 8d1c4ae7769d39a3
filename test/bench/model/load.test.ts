import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { behaviour, machine, population, usualLimits } from '../../../bench/model/inputs.ts'
import { capacities, nodeLoad, nodesNeeded, type Points } from '../../../bench/model/load.ts'

const cost = (cpuMs: number, wireBytes: number) => ({ cpuMs, wireBytes })
const points: Points = {
  baseBytes: 100e6,
  recordBytes: 1_000,
  reservationBytes: 50_000,
  put: cost(1, 2_000),
  get: cost(1, 1_000),
  idleMinute: cost(1, 100),
  relayedByte: cost(1e-5, 2),
}
const inputs = { population, behaviour, limits: usualLimits, points }

test('three devices of one person, always on, write for each other every ten minutes, and look for nobody', () => {
  const always = { ...population, onShare: 1, epochsOnShare: 1, addressChangesPerDay: 0, relayedShare: 0 }
  const load = nodeLoad(3, { ...inputs, population: always })
  // Six pairs of writer and reader: 144 times a day, and four times under new keys.
  assert.equal(load.putsPerDay, 6 * (144 + 4))
  assert.equal(load.getsPerDay, 6 * 4, 'its own, before it writes under new keys')
  assert.equal(load.records, 6 * 9, 'this epoch, and the eight before')
  assert.equal(load.reservations, 3)
  assert.equal(load.relayedBytesPerDay, 0)
})

test('a device that looks for one that is away asks under three keys every five minutes', () => {
  const half = { ...population, devicesPerPerson: 2, onShare: 0.5 }
  const load = nodeLoad(2, { ...inputs, population: half })
  assert.equal(load.getsPerDay, 0.5 * 3 * 288 + 4)
})

test('load grows with the devices', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 2, max: 100 }), (devices, times) => {
      const [one, many] = [nodeLoad(devices, inputs), nodeLoad(devices * times, inputs)]
      for (const name of [
        'putsPerDay',
        'getsPerDay',
        'records',
        'cpuSecondsPerDay',
        'wireBytesPerDay',
      ] as const)
        assert.ok(Math.abs(many[name] / one[name] - times) < 1e-6, name)
      assert.ok(many.memoryBytes > one.memoryBytes)
    }),
  )
})

test('a node has no more than its capacity allows: one device more is too much of something', () => {
  const [first] = capacities(inputs, machine)
  assert.ok(first !== undefined)
  const within = (devices: number): boolean => {
    const load = nodeLoad(devices, inputs)
    return (
      load.cpuSecondsPerDay <= machine.coreShare * 86_400 &&
      load.memoryBytes <= machine.memoryBytes &&
      load.records <= usualLimits.records &&
      load.reservations <= usualLimits.reservations &&
      load.reservations <= usualLimits.connections &&
      load.relayedBytesPerDay <= usualLimits.relayedBytesPerSecond * 86_400
    )
  }
  assert.ok(within(first.devices))
  assert.ok(!within(first.devices + 1))
})

test('each node that a person names has all of his devices', () => {
  assert.equal(nodesNeeded({ ...population, devices: 1_000, nodesPerPerson: 2 }, 500), 4)
  assert.equal(nodesNeeded({ ...population, devices: 1_001, nodesPerPerson: 2 }, 500), 5)
})
