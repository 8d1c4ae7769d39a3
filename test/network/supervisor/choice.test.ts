import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { choose, type Candidate } from '../../../src/network/supervisor/choice.ts'

const direct = { isLeaving: false, isDoubtful: false, isRelayed: false }
const relayed = { ...direct, isRelayed: true }
const leaving = { ...direct, isLeaving: true }
const doubtful = { ...direct, isDoubtful: true }

/** The oldest first; `current` and `chosen` are places in `candidates`. */
const table: { what: string; candidates: Candidate[]; current?: number; chosen?: number }[] = [
  { what: 'none', candidates: [] },
  { what: 'none that is open', candidates: [leaving, leaving], current: 0 },
  { what: 'the only one', candidates: [relayed], chosen: 0 },
  { what: 'the only one, also in doubt', candidates: [doubtful, leaving], current: 0, chosen: 0 },
  { what: 'the newest of two', candidates: [direct, direct], current: 0, chosen: 1 },
  { what: 'the newest of two relayed ones', candidates: [relayed, relayed], current: 0, chosen: 1 },
  { what: 'a direct one before a newer relayed one', candidates: [direct, relayed], current: 0, chosen: 0 },
  { what: 'a direct one that is newer', candidates: [relayed, direct], current: 0, chosen: 1 },
  { what: 'one that answers before one in doubt', candidates: [doubtful, relayed], current: 0, chosen: 1 },
  { what: 'an older one that answers', candidates: [relayed, doubtful], current: 1, chosen: 0 },
  { what: 'the same when all are in doubt', candidates: [doubtful, doubtful], current: 0, chosen: 0 },
  { what: 'the newest in doubt when the other left', candidates: [leaving, doubtful], current: 0, chosen: 1 },
]
for (const { what, candidates, current, chosen } of table) {
  test(`new work goes to ${what}`, () => {
    const each = candidates.map((candidate) => ({ ...candidate }))
    const choice = choose(each, current === undefined ? undefined : each[current])
    assert.equal(choice, chosen === undefined ? undefined : each[chosen])
  })
}

test('whatever there is: nothing that is leaving is chosen, and what is chosen stays', () => {
  const candidate = fc.record({
    isLeaving: fc.boolean(),
    isDoubtful: fc.boolean(),
    isRelayed: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(candidate), fc.nat(), (candidates, at) => {
      const chosen = choose(candidates, candidates[at])
      assert.equal(
        chosen === undefined,
        candidates.every(({ isLeaving }) => isLeaving),
      )
      assert.ok(chosen?.isLeaving !== true)
      assert.equal(choose(candidates, chosen), chosen)
    }),
  )
})
