import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OneAtATime } from '../../src/protocols/one-at-a-time.ts'
import { asPeer } from '../peers.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** Each run waits until the test ends it. */
function controlled() {
  const runs: { key: PeerId; end: (outcome: 'done' | 'again') => void }[] = []
  const work = new OneAtATime((key) => new Promise<'done' | 'again'>((end) => void runs.push({ key, end })))
  const ended = async (run: number, outcome: 'done' | 'again'): Promise<void> => {
    const { end } = runs[run] ?? assert.fail(`there is no run ${run}`)
    end(outcome)
    await settled()
  }
  return { work, runs, ended }
}

/** Everything that only waits for promises has happened. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

test('what is wanted in one turn is one run for each key, and runs of different keys overlap', async () => {
  const { work, runs } = controlled()
  for (const key of ['one', 'other', 'one', 'one']) work.want(asPeer(key))
  assert.equal(runs.length, 0)
  await settled()
  assert.deepEqual(
    runs.map(({ key }) => key),
    ['one', 'other'],
  )
})

test('wanted during a run, however often, it runs once more afterwards, and then no more', async () => {
  const { work, runs, ended } = controlled()
  work.want(asPeer('one'))
  await settled()
  work.want(asPeer('one'))
  work.want(asPeer('one'))
  await settled()
  assert.equal(runs.length, 1)
  await ended(0, 'done')
  assert.equal(runs.length, 2)
  await ended(1, 'done')
  assert.equal(runs.length, 2)
})

test('a run may ask for another one itself; after the last one everything begins anew', async () => {
  const { work, runs, ended } = controlled()
  work.want(asPeer('one'))
  await settled()
  await ended(0, 'again')
  await ended(1, 'done')
  assert.equal(runs.length, 2)
  work.want(asPeer('one'))
  await settled()
  assert.equal(runs.length, 3)
})
