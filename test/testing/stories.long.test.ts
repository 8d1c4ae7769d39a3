import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../src/testing/index.ts'
import { stories, type StoryName } from '../simulation/stories.ts'

/** `npm run test:simulation` tells thousands, and shows that each defence is missed when it is taken out. */
const seeds: Record<StoryName, number> = { messages: 20, lives: 20, idle: 30, boxes: 5 }

const promises: Record<StoryName, string> = {
  messages: 'what is acknowledged is there once and in order, and nothing of a revoked device',
  lives: 'what was accepted ends well or its owner is told, and nothing is cut without a reason',
  boxes: 'what is acknowledged is read once, whoever floods, sets clocks or cuts the power',
  idle: 'a stream that is opened as soon as the device is connected stays',
}
for (const [name, promise] of Object.entries(promises) as [StoryName, string][]) {
  test(`random stories: ${promise}`, async (context) => {
    const total: Record<string, number> = {}
    const { tell, optionsOf } = stories[name]
    for (let seed = 1; seed <= seeds[name]; seed++) {
      await simulate({ ...optionsOf(seed), seeds: 1, firstSeed: seed }, async (simulation) => {
        for (const [what, count] of Object.entries(await tell(simulation)))
          total[what] = (total[what] ?? 0) + count
      })
    }
    context.diagnostic(JSON.stringify(total))
    assert.ok(Object.values(total).every((count) => count > 0))
  })
}
