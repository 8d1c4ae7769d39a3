import type { Exploration, Violation } from './search.ts'
import type { Scenario } from './world.ts'

export const tableHead = `${'scenario'.padEnd(30)}${['states', 'transitions', 'paired', 'depth', 's']
  .map((word) => word.padStart(12))
  .join('')}  result`

export function tableRow({ scenario, ...found }: Exploration): string {
  const seconds = (found.elapsedMs / 1000).toFixed(1)
  const numbers = [found.states, found.transitions, found.paired, found.depth].map((count) =>
    count.toLocaleString('en'),
  )
  const result = found.violation?.invariant ?? (found.isCut ? 'too large: cut off' : 'holds')
  return `${scenario.name.padEnd(30)}${[...numbers, seconds].map((text) => text.padStart(12)).join('')}  ${result}`
}

export function boundsOf(scenario: Scenario): string {
  const { joiners, inFlight, joinsAgain, joinTimeoutMs, outsider, faults, peopleCompare } = scenario
  const bounds = [
    scenario.initiator ? '1 initiator' : 'no initiator',
    ['no joiner', '1 joiner', '2 joiners'][joiners] ?? '',
    outsider === 'none' ? '' : `1 ${outsider}`,
    outsider === 'thief' ? `up to ${scenario.thiefRequests} Challenges for her requests` : '',
    `${inFlight} under way each way per joiner`,
    `${joinTimeoutMs / 1000} s of looking`,
    joinsAgain === 0 ? '' : `${joinsAgain} more join`,
    faults ? 'crashes, disk failures and every no' : 'no crash, no disk failure, no no',
    peopleCompare ? 'people compare the digits' : 'people say yes to any digits',
  ]
  return bounds.filter((bound) => bound !== '').join(', ')
}

/** One line per step. */
export function counterexample({ invariant, steps }: Violation): string {
  const lines = steps.map((step, index) => `    ${String(index + 1).padStart(2)}  ${step}`)
  return [...lines, `     =>  broken: ${invariant}`].join('\n')
}
