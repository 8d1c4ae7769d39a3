import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from '../../src/network/backoff.ts'

test('waiting times double from half a second to a minute, spread by chance above the half second', () => {
  const shortest = new Backoff(() => 0)
  const longest = new Backoff(() => 1 - Number.EPSILON)
  const expected = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
  for (const ceilingMs of expected) {
    assert.equal(shortest.next(), 500)
    assert.equal(Math.round(longest.next()), ceilingMs)
  }
  for (let failures = 0; failures < 10_000; failures++) longest.next()
  assert.equal(Math.round(longest.next()), 60_000)
  longest.reset()
  assert.equal(Math.round(longest.next()), 500)
})
