import { responseMs } from '../../src/pairing/limits.ts'
import type { Scenario } from './world.ts'

/** What is explored, and its bounds. Within them everything is explored: no state is left out by chance or by time. */

const oneRound = 1_000
const twoRounds = responseMs + 1_000

const base: Scenario = {
  name: '',
  initiator: true,
  joiners: 1,
  outsider: 'none',
  peopleCompare: false,
  inFlight: 1,
  joinsAgain: 0,
  joinTimeoutMs: oneRound,
  thiefOpenings: 1,
  thiefRequests: 2,
  faults: true,
}

const oneJoiner: Scenario = { ...base, name: 'one joiner' }
const disorder: Scenario = {
  ...base,
  name: 'one joiner, reordering',
  inFlight: 2,
  joinTimeoutMs: twoRounds,
}
const again: Scenario = { ...base, name: 'one joiner, who joins again', joinsAgain: 1 }
const stranger: Scenario = { ...base, name: 'one joiner, a stranger', outsider: 'stranger' }
const twoJoiners: Scenario = { ...base, name: 'two joiners, a stranger', joiners: 2, outsider: 'stranger' }
const rivals: Scenario = { ...base, name: 'two joiners', joiners: 2, faults: false }
const forger: Scenario = {
  ...base,
  name: 'one joiner, a forger',
  outsider: 'forger',
  joinTimeoutMs: twoRounds,
}
const forgerOfTwo: Scenario = {
  ...base,
  name: 'two joiners, a forger',
  joiners: 2,
  outsider: 'forger',
  faults: false,
}
const thief: Scenario = { ...base, name: 'one joiner, a thief', outsider: 'thief' }
const comparing: Scenario = {
  ...thief,
  name: 'the same, people compare',
  peopleCompare: true,
  thiefOpenings: 2,
}
const grinding: Scenario = {
  ...thief,
  name: 'a thief at the initiator',
  joiners: 0,
  thiefRequests: 9,
}
const luring: Scenario = {
  ...thief,
  name: 'a thief at the joiner',
  initiator: false,
  joinTimeoutMs: 10 * responseMs,
}

export const scenarios = {
  oneJoiner,
  disorder,
  again,
  stranger,
  twoJoiners,
  rivals,
  forger,
  forgerOfTwo,
  thief,
  comparing,
  grinding,
  luring,
}

export const fullRun: readonly Scenario[] = [
  disorder,
  again,
  forger,
  forgerOfTwo,
  thief,
  comparing,
  grinding,
  luring,
  twoJoiners,
]

/** A few seconds' worth. */
export const quickRun: readonly Scenario[] = [oneJoiner, stranger, forger, grinding, luring]
