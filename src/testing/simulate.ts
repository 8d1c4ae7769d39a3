import { checkOptions, type OptionNames } from '../known-options.ts'
import {
  createSimulation,
  simulationOptionNames,
  type Simulation,
  type SimulationOptions,
} from './simulation.ts'

/** Options of `simulate`: those of the simulation, and the number of its stories. */
export interface SimulateOptions extends Omit<SimulationOptions, 'seed'> {
  /** Number of stories told, each with another seed. @default 100 */
  seeds?: number
  /** Seed of the first story. @default 1 */
  firstSeed?: number
}

const { seed: _perStory, ...storyOptionNames } = simulationOptionNames
const simulateOptionNames: OptionNames<SimulateOptions> = {
  ...storyOptionNames,
  seeds: true,
  firstSeed: true,
}

/**
 * Tells a story over and over, each time in a simulation of its own with another seed. Rejects at the first story that fails,
 * with an Error whose message begins with its seed and whose `cause` is what it failed with. With `SPACEDOCK_SEED` in the
 * environment only that story is told: the same seed takes the same course.
 */
export async function simulate(
  options: SimulateOptions,
  story: (simulation: Simulation) => Promise<void>,
): Promise<void> {
  checkOptions(options, simulateOptionNames, 'simulate')
  const { seeds = 100, firstSeed = 1, ...others } = options
  const replayed = process.env['SPACEDOCK_SEED']
  const [first, last] =
    replayed === undefined ? [firstSeed, firstSeed + seeds - 1] : [Number(replayed), Number(replayed)]
  for (let seed = first; seed <= last; seed++) {
    const simulation = createSimulation({ ...others, seed })
    try {
      await story(simulation)
      await simulation.close()
    } catch (error) {
      // A story's own failure is told, not that its devices do not end in order.
      await simulation.close().catch(() => {})
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`Seed ${seed} (again with SPACEDOCK_SEED=${seed}): ${why}`, { cause: error })
    }
  }
}
