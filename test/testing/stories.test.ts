import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../src/testing/index.ts'
import { runSchedule } from '../simulation/schedule.ts'

/** `npm run test:simulation` tells ten thousand, and shows that each defence is missed when it is taken out. */
test('random stories: what is acknowledged is there once and in order, and nothing of a revoked device', async (context) => {
  const total = { sent: 0, acknowledged: 0, crashes: 0, revocations: 0 }
  await simulate({ seeds: 40 }, async (simulation) => {
    const report = await runSchedule(simulation)
    for (const key of ['sent', 'acknowledged', 'crashes', 'revocations'] as const) total[key] += report[key]
  })
  context.diagnostic(JSON.stringify(total))
  assert.ok(Object.values(total).every((count) => count > 0))
})
