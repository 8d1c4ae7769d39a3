import { brokenInitiators } from './broken-initiators.ts'
import { brokenJoiners } from './broken-joiners.ts'
import { blindSuite, lowOrderAllowed, trustingSeal, type Purpose } from './broken-suite.ts'
import { shipped } from './shipped.ts'
import { scenarios } from './scenarios.ts'
import type { Scenario, Subject } from './world.ts'

/** A variant of the machines with one check taken out, and where that must show. */
export interface Mutant {
  subject: Subject
  scenario: Scenario
}

const suites: readonly [string, Scenario, Subject['suite']][] = [
  ['the probe of a request is not checked', scenarios.stranger, blindTo('probe-key', 'request')],
  ['the probe of a Challenge is not checked', scenarios.stranger, blindTo('probe-key', 'challenge')],
  ['the commitment is not checked', scenarios.thief, blindTo('hash', 'commitment')],
  ["the joiner's proof is not checked", scenarios.thief, blindTo('joiner-proof', 'response')],
  ["the initiator's proof is not checked", scenarios.luring, blindTo('initiator-proof', 'complete')],
  ['the acknowledgement is not checked', scenarios.forger, blindTo('acknowledgement', 'acknowledgement')],
  ["the joiner's and the initiator's seals are not checked", scenarios.thief, trustingSeal],
  ['a refusal of a request is not checked', scenarios.stranger, blindTo('probe-key', 'refused')],
  ['a refusal of a Response is not checked', scenarios.forger, blindTo('initiator-proof', 'refused')],
  ['a Cancel is not checked', scenarios.forger, blindTo('probe-key', 'cancel')],
  ['a share of low order is not noticed', scenarios.thief, lowOrderAllowed],
  ['the digits depend on nothing', scenarios.comparing, blindTo('expand', 'sas')],
]

export const mutants: readonly Mutant[] = [
  ...suites.map(([name, scenario, suite]) => ({ subject: { ...shipped, name, suite }, scenario })),
  ...brokenInitiators.map(({ name, scenario, initiator }) => ({
    subject: { ...shipped, name, initiator },
    scenario,
  })),
  ...brokenJoiners.map(({ name, scenario, joiner }) => ({ subject: { ...shipped, name, joiner }, scenario })),
  { subject: { ...shipped, name: 'nothing heals later', heals: false }, scenario: scenarios.oneJoiner },
]

function blindTo(key: string, data: string): Subject['suite'] {
  return blindSuite((purpose: Purpose) => purpose.key === key && purpose.data === data)
}
