import assert from 'node:assert/strict'
import { test } from 'node:test'
import { movement } from '../../bench/table/comparison.ts'
import type { Row } from '../../bench/table/rows.ts'

const time: Row = { id: 'time', title: 'time', unit: 'ms', better: 'less', group: 'speed' }
const rate: Row = { id: 'rate', title: 'rate', unit: 'a second', better: 'more', group: 'speed' }

for (const { what, older, newer, expected } of [
  { what: 'twice as much', older: [10, 11, 12], newer: [20, 21, 22], expected: 'more' },
  { what: 'half as much', older: [20, 21, 22], newer: [10, 11, 12], expected: 'less' },
  { what: 'as much', older: [10, 11, 12], newer: [12, 10, 11], expected: 'same' },
  {
    what: 'rounds that lie among each other',
    older: [8, 10, 12],
    newer: [9, 12, 14],
    expected: 'same',
  },
  {
    what: 'one bad round of five',
    older: [10, 10, 10, 10, 10],
    newer: [10, 10, 10, 90, 10],
    expected: 'same',
  },
  { what: 'exact figures that differ by less than 3 %', older: [100], newer: [102], expected: 'same' },
  { what: 'exact figures that differ by more', older: [100], newer: [104], expected: 'more' },
]) {
  test(`${what}: ${expected}`, () => {
    const [onTime, onRate] =
      { more: ['worse', 'better'], less: ['better', 'worse'], same: ['same', 'same'] }[expected] ?? []
    assert.equal(movement(time, older, newer), onTime)
    assert.equal(movement(rate, older, newer), onRate)
  })
}

test('of runs that differ by noise alone one in forty moves; what is a third slower always does', () => {
  const random = generator(1)
  const rounds = (mean: number) => Array.from({ length: 5 }, () => mean * (1 + 0.05 * normal(random)))
  const runs = 2_000
  let moved = 0
  let noticed = 0
  for (let run = 0; run < runs; run++) {
    if (movement(time, rounds(100), rounds(100)) !== 'same') moved++
    if (movement(time, rounds(100), rounds(133)) === 'worse') noticed++
  }
  assert.ok(moved / runs < 1 / 40, `${moved} of ${runs}`)
  assert.ok(noticed / runs > 0.97, `${noticed} of ${runs}`)
})

/** The same numbers from 0 to 1 for the same seed (a linear congruential generator, Numerical Recipes). */
function generator(seed: number): () => number {
  let state = seed
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}

/** Nearly normal: a sum of twelve. */
function normal(random: () => number): number {
  let sum = -6
  for (let count = 0; count < 12; count++) sum += random()
  return sum
}
