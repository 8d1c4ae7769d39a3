import type { Simulation, SimulationOptions } from '../../src/testing/index.ts'
import { runBoxes } from './boxes.ts'
import { runIdle } from './idle.ts'
import { runLives } from './lives.ts'
import { runSchedule } from './schedule.ts'

export interface Story {
  optionsOf: (seed: number) => SimulationOptions
  /** Resolves to what is counted. Rejects when something is not as it should be. */
  tell: (simulation: Simulation) => Promise<Record<string, number>>
}

export type StoryName = 'messages' | 'lives' | 'idle' | 'boxes'

/** The kinds of random stories, all of which follow from the seed. */
export const stories: Record<StoryName, Story> = {
  messages: {
    optionsOf: (seed) => ({ tls: hasTls(seed) }),
    tell: async (simulation) => ({ ...(await runSchedule(simulation)) }),
  },
  lives: {
    optionsOf: (seed) => ({ relay: hasRelay(seed), tls: hasTls(seed) }),
    tell: async (simulation) => ({
      ...(await runLives(simulation, { hasRelay: hasRelay(simulation.seed) })),
    }),
  },
  idle: { optionsOf: (seed) => ({ tls: hasTls(seed) }), tell: runIdle },
  boxes: { optionsOf: (seed) => ({ tls: hasTls(seed) }), tell: runBoxes },
}

function hasRelay(seed: number): boolean {
  return seed % 2 === 0
}

/** Whether sessions run over TLS: in two stories of three. */
function hasTls(seed: number): boolean {
  return seed % 3 !== 0
}
