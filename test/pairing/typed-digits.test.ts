import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareDigits } from '../../src/pairing/typed-digits.ts'

const sixDigits = fc.integer({ min: 0, max: 999_999 }).map((number) => String(number).padStart(6, '0'))

test('digits are the same however they are grouped, and no other ones are', () => {
  for (const typed of ['012345', ' 012 345 ', '012-345', '01–23–45', '0 1 2 3 4 5\t', '０１２３４５'])
    assert.equal(compareDigits('012345', typed), 'same', typed)
  fc.assert(
    fc.property(sixDigits, sixDigits, (shown, typed) => {
      assert.equal(compareDigits(shown, typed), shown === typed ? 'same' : 'other')
    }),
  )
})

test('what is not six digits is no comparison', () => {
  for (const typed of ['', 'y', 'yes', '12345', '0123456', '12345.0', '0x3039', '-1234', '1e5000', '٠١٢٣٤٥'])
    assert.equal(compareDigits('012345', typed), 'no-digits', typed)
  fc.assert(
    fc.property(sixDigits, fc.string(), (shown, typed) => {
      assert.equal(
        compareDigits(shown, typed) === 'same',
        typed.normalize('NFKC').replaceAll(/[\s\p{Pd}]/gu, '') === shown,
      )
    }),
  )
})
