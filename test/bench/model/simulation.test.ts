import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulatePresence } from '../../../bench/model/simulation.ts'

test('two devices that are on write every ten minutes, and what they write is found', async () => {
  const options = { persons: 1, devicesPerPerson: 2, recordLifetimeMs: 0, hours: 1, random: () => 0 }
  const { putsPerDay, getsPerDay, refusedShare } = await simulatePresence(options)
  // Both are on all the time: twelve times an hour, give or take a quarter, and at most once more under new keys.
  const perHour = putsPerDay / 24
  assert.ok(perHour >= 9 && perHour <= 17, `${perHour} an hour`)
  assert.ok(getsPerDay / 24 <= 2, 'nobody is looked for')
  assert.equal(refusedShare, 0)
})
