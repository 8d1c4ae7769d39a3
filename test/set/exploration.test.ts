import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shipped } from './broken.ts'
import { exploreRecords } from './exploration.ts'

test('of all records of three identities and three statements none breaks a promise (test:explore goes further)', () => {
  const { records, tried, violation } = exploreRecords(shipped, {
    identities: 3,
    statements: 3,
    replacements: true,
  })
  assert.equal(
    violation,
    null,
    violation === null ? '' : `${violation.invariant}: ${violation.log.join(', ')}`,
  )
  assert.ok(records > 100 && tried > records, `${records} records, ${tried} statements`)
})
