import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quantile, ratios, spreadOf } from '../../bench/table/statistics.ts'

test('quantiles lie between the values, in proportion', () => {
  assert.equal(quantile([3], 0.5), 3)
  assert.equal(quantile([4, 1], 0.5), 2.5)
  assert.equal(quantile([5, 1, 4, 2, 3], 0.25), 2)
  assert.deepEqual(spreadOf([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4 })
  assert.throws(() => spreadOf([]), RangeError)
})

test('the order of the rounds makes no difference, and the quartiles are in order', () => {
  const values = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(values, (values) => {
      const spread = spreadOf(values)
      assert.deepEqual(spreadOf(values.toReversed()), spread)
      assert.ok(Math.min(...values) <= spread.low && spread.low <= spread.median)
      assert.ok(spread.median <= spread.high && spread.high <= Math.max(...values))
    }),
  )
})

test('ratios are those of one round; a round in which either failed has none', () => {
  assert.deepEqual(ratios([2, 6, 8], [1, 2, 4]), [2, 3, 2])
  assert.deepEqual(ratios([2, Number.NaN, 8, 9], [1, 2, Number.NaN]), [2])
})
