import { mutants } from './mutants.ts'
import { boundsOf, counterexample, tableHead, tableRow } from './report.ts'
import { fullRun } from './scenarios.ts'
import { explore, type Violation } from './search.ts'
import { shipped } from './shipped.ts'

/**
 * Explores everything that can happen to the pairing machines, then shows that what it looks for can be found: each of
 * the broken variants must be caught. Exit code 1 when an invariant does not hold or a variant gets away.
 */
const maxStates = 3_000_000
let passed = 0
let failed = 0

console.log('Bounds. Messages are lost, doubled, late and out of order in every scenario.')
for (const scenario of fullRun) console.log(`  ${scenario.name}: ${boundsOf(scenario)}`)
console.log(`\n${tableHead}`)
let states = 0
let transitions = 0
for (const scenario of fullRun) {
  const found = explore(shipped, scenario, maxStates)
  states += found.states
  transitions += found.transitions
  console.log(tableRow(found))
  if (found.violation !== null) console.log(counterexample(found.violation))
  if (found.violation === null && !found.isCut) passed++
  else failed++
}
console.log(`${states.toLocaleString('en')} states, ${transitions.toLocaleString('en')} transitions\n`)

for (const { subject, scenario } of mutants) {
  const { violation } = explore(subject, scenario, maxStates)
  if (violation === null) {
    failed++
    console.log(`NOT CAUGHT: ${subject.name} (${scenario.name})\n`)
    continue
  }
  passed++
  console.log(`caught: ${subject.name} — ${violation.invariant} — ${stepsOf(violation)}`)
  console.log(`${counterexample(violation)}\n`)
}

console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function stepsOf({ steps }: Violation): string {
  return steps.length === 1 ? '1 step' : `${steps.length} steps`
}
