import assert from 'node:assert/strict'
import { test } from 'node:test'
import { interleave } from '../../src/store/interleave.ts'

test('lists take turns, the longer ones go on alone, and nothing comes twice', () => {
  assert.deepEqual(interleave(['a', 'b', 'c'], ['x'], ['a', 'y']), ['a', 'x', 'b', 'y', 'c'])
  assert.deepEqual(interleave([], []), [])
})
