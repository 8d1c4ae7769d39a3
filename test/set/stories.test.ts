import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { brokenVersions, shipped, type Subject } from './broken.ts'
import { tellStory } from './story.ts'

/** `SPACEDOCK_TEST_SET_STORIES=10000` tells as many; `SPACEDOCK_TEST_SET_SEED=4711` one, again. */
const stories = Number(process.env['SPACEDOCK_TEST_SET_STORIES'] ?? 100)
const only = process.env['SPACEDOCK_TEST_SET_SEED']
const maxBrokenStories = 100

describe('random stories of a set of devices', () => {
  test('members agree and hold the same, nothing removed comes back, nobody is lost silently', () => {
    const seeds =
      only === undefined ? Array.from({ length: stories }, (_, index) => index + 1) : [Number(only)]
    let [suspended, removed] = [0, 0]
    for (const seed of seeds) {
      const told = tellStory(shipped, seed)
      assert.equal(told.fault, null, `seed ${seed}: ${told.fault}\n${told.log.join('\n')}`)
      suspended += told.suspended
      removed += told.removed
    }
    if (only === undefined) assert.ok(suspended > 0 && removed > 0, 'stories in which something happens')
    console.log(`${seeds.length} stories, ${removed} removed, ${suspended} suspended and brought back`)
  })

  test('a version that lacks a rule of whom to listen to, or of what is handed over, is noticed', async () => {
    if (only !== undefined) return
    for (const version of await brokenVersions('stories')) {
      const seed = firstFault(version)
      assert.ok(seed !== null, `not noticed in ${maxBrokenStories} stories: ${version.what}`)
    }
  })
})

function firstFault(version: Subject): number | null {
  for (let seed = 1; seed <= maxBrokenStories; seed++) {
    if (tellStory(version, seed).fault !== null) return seed
  }
  return null
}
