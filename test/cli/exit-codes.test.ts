import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { type ErrorCode, errorCodes } from '../../src/errors.ts'

const expected: Record<number, ErrorCode[]> = {
  2: ['invalid-code', 'invalid-argument'],
  3: ['no-daemon'],
  4: ['timed-out', 'expired', 'not-found'],
  5: ['offline'],
  6: ['used', 'declined', 'cancelled', 'burnt', 'not-paired'],
}

test('each error ends with the exit code that scripts rely on; all others with 1', () => {
  for (const code of errorCodes) {
    const listed = Object.entries(expected).find(([, codes]) => codes.includes(code))
    assert.equal(exitCodeOf(code), listed === undefined ? 1 : Number(listed[0]), code)
  }
})
