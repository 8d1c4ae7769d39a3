import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mutants } from './mutants.ts'
import { counterexample } from './report.ts'
import { quickRun, scenarios } from './scenarios.ts'
import { explore } from './search.ts'
import { shipped } from './shipped.ts'

const maxStates = 200_000

describe('everything that can happen to the pairing machines', () => {
  for (const scenario of quickRun) {
    test(`the invariants hold: ${scenario.name}`, () => {
      const found = explore(shipped, scenario, maxStates)
      assert.equal(found.isCut, false)
      if (scenario.initiator && scenario.joiners > 0) assert.ok(found.paired > 0)
      assert.equal(found.violation && counterexample(found.violation), null)
    })
  }

  for (const { subject, scenario } of mutants) {
    // The others need a larger space; `npm run test:explore` runs them all.
    if (scenario === scenarios.disorder) continue
    test(`caught: ${subject.name}`, () => {
      assert.ok(explore(subject, scenario, maxStates).violation)
    })
  }
})
