import { responseMs } from '../../src/pairing/limits.ts'
import type { Scenario } from './world.ts'

const plain: Scenario = {
  name: '',
  initiator: true,
  joiners: 1,
  outsider: 'none',
  peopleCompare: false,
  inFlight: 2,
  joinsAgain: 0,
  joinTimeoutMs: responseMs + 1,
  thiefOpenings: 1,
  thiefRequests: 2,
  faults: true,
}
export const scenarios: Record<string, Scenario> = {
  one: { ...plain, name: 'one joiner' },
  two: { ...plain, name: 'two joiners', joiners: 2, inFlight: 1 },
  stranger: { ...plain, name: 'one joiner, stranger', outsider: 'stranger' },
  forger: { ...plain, name: 'one joiner, forger', outsider: 'forger' },
  thief: { ...plain, name: 'one joiner, thief', outsider: 'thief', inFlight: 1 },
}
