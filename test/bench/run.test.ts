import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quickSizes, type Job } from '../../bench/table/jobs/job.ts'
import { Results } from '../../bench/table/results.ts'
import { runRounds, type Side } from '../../bench/table/run.ts'

const side = (name: string): Side => ({ name, checkout: `/${name}`, results: new Results() })

function job(run: Job['run'], more: Partial<Job> = {}): Job {
  return { rows: ['bulk'], subjects: ['raw-tcp', 'spacedock-stream'], run, ...more }
}

async function order(sides: Side[], rounds: number, more: Partial<Job> = {}): Promise<string[]> {
  const done: string[] = []
  const jobs = [job(async (subject, { checkout }) => ({ bulk: done.push(`${subject} ${checkout}`) }), more)]
  await runRounds({ jobs, sides, rounds, sizes: quickSizes, onProgress: () => {} })
  return done
}

test('subjects alternate, and every round begins with another one', async () => {
  const [raw, ours] = ['raw-tcp /now', 'spacedock-stream /now']
  assert.deepEqual(await order([side('now')], 3), [raw, ours, ours, raw, raw, ours])
})

test('two commits alternate, without the baselines', async () => {
  const [then, now] = ['spacedock-stream /then', 'spacedock-stream /now']
  assert.deepEqual(await order([side('then'), side('now')], 2), [then, now, now, then])
})

test('what is always the same is measured once', async () => {
  assert.equal((await order([side('now')], 3, { mostRounds: 1 })).length, 2)
})

test('a measurement that fails is told of and counted, and the others go on', async () => {
  const now = side('now')
  const told: string[] = []
  const options = { jobs: [job(failingWithoutNetwork)], sides: [now], rounds: 2, sizes: quickSizes }
  assert.equal(await runRounds({ ...options, onProgress: (text) => void told.push(text) }), 2)
  assert.ok(told.includes('raw-tcp failed: no network'))
  assert.deepEqual(now.results.toJSON(), { bulk: { 'raw-tcp': [null, null], 'spacedock-stream': [7, 7] } })
})

const failingWithoutNetwork: Job['run'] = async (subject) => {
  if (subject === 'raw-tcp') throw new Error('no network')
  return { bulk: 7 }
}
