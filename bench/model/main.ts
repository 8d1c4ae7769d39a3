import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { whyNoLab } from '../../test/lab/requirements.ts'
import { behaviour, machine, population, usualLimits } from './inputs.ts'
import { nodeLoad, type Points } from './load.ts'
import { measurePoints, quickMeasureSizes, usualMeasureSizes } from './measure.ts'
import { writeBetween } from '../marked-text.ts'
import { report } from './report.ts'
import { simulatePresence } from './simulation.ts'

/**
 * What a million devices cost the rendezvous nodes (docs/scale.md):
 *
 *     npm run model [-- --write]             # by what was measured last; into docs/scale.md
 *     npm run model -- --measure [--quick]   # measures a real node first; Linux as root
 *     npm run model -- --simulate            # the model beside the real code of devices, on a clock that is advanced
 *     npm run model -- --devices N
 */
const { values } = parseArgs({
  options: {
    measure: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    simulate: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    devices: { type: 'string' },
  },
})
const devices = values.devices === undefined ? population.devices : Number(values.devices)
const file = new URL('points.json', import.meta.url)

if (!Number.isInteger(devices) || devices < 1) {
  console.error('--devices takes a whole number from 1.')
  process.exitCode = 2
} else if (values.simulate) await simulate()
else if (!values.measure) show(JSON.parse(readFileSync(file, 'utf8')) as Points)
else await measure()

function show(points: Points): void {
  const inputs = { population: { ...population, devices }, behaviour, limits: usualLimits, points }
  const tables = report(inputs, machine)
  console.log(tables)
  if (values.write) writeBetween(new URL('../../docs/scale.md', import.meta.url), 'model', tables)
}

async function measure(): Promise<void> {
  const obstacle = await whyNoLab()
  if (obstacle !== false) {
    console.error(`NOT MEASURED: ${obstacle}`)
    process.exitCode = 1
    return
  }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
  const points = await measurePoints(values.quick ? quickMeasureSizes : usualMeasureSizes, interrupted.signal)
  if (values.quick) console.log('Small sizes: whether it works, not what it costs. Not kept.')
  else writeFileSync(file, `${JSON.stringify(points, null, 2)}\n`)
  show(points)
}

/** Two persons with three devices each, for two days of which one is counted, and a node that keeps records for half a day. */
async function simulate(): Promise<void> {
  const persons = 2
  const recordLifetimeMs = 12 * 3_600_000
  const { devicesPerPerson } = population
  const options = { persons, devicesPerPerson, recordLifetimeMs, hours: 24, random: Math.random }
  const simulated = await simulatePresence(options)
  const { epochsOnShare } = simulated
  const modelled = nodeLoad(persons * devicesPerPerson, {
    population: { ...population, onShare: 0.5, epochsOnShare, addressChangesPerDay: 0 },
    behaviour,
    limits: { ...usualLimits, recordLifetimeMs },
    points: JSON.parse(readFileSync(file, 'utf8')) as Points,
  })
  for (const name of ['putsPerDay', 'getsPerDay', 'records'] as const) {
    const ratio = (simulated[name] / modelled[name]).toFixed(2)
    console.log(
      `${name}: ${simulated[name].toFixed(0)} simulated, ${modelled[name].toFixed(0)} by the model, ${ratio}`,
    )
  }
}
