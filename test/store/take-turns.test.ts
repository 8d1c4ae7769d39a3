import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeTurns } from '../../src/store/take-turns.ts'

test('lists take turns, the longer ones go on alone, and nothing comes twice', () => {
  assert.deepEqual(takeTurns(['a', 'b', 'c'], ['x'], ['a', 'y']), ['a', 'x', 'b', 'y', 'c'])
  assert.deepEqual(takeTurns([], []), [])
})
