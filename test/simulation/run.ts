import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Patch } from '../threats/threat.ts'
import { brokenVersions } from './broken.ts'
import type { SeedResult } from './worker.ts'

/**
 * Random stories of devices that send, crash, sleep, move and are revoked, in a simulated network; then the same without one
 * defence at a time, each of which has to be noticed.
 *
 *     npm run test:simulation -- --seeds 100          # fewer
 *     npm run test:simulation -- --seed 4711 [--log]  # one, again
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    log: { type: 'boolean', default: false },
  },
})
const first = Number(values.seed ?? values.first)
const count = values.seed === undefined ? Number(values.seeds) : 1
const workers = Math.min(count, Math.max(1, Math.min(4, availableParallelism())))
const worker = fileURLToPath(new URL('worker.ts', import.meta.url))
const patchedSource = new URL('../threats/patched-source.ts', import.meta.url).href
const maxShownFailures = 5
const maxBrokenSeeds = 2_000

const startedAt = performance.now()
const totals = { seeds: 0, sent: 0, acknowledged: 0, crashes: 0, revocations: 0 }
const failures: { seed: number; why: string }[] = []
await Promise.all(
  Array.from({ length: workers }, (_, index) =>
    runSeeds({ first: first + index, last: first + count - 1, step: workers }, [], (result) => {
      if (result.kind === 'failed') failures.push(result)
      else {
        totals.seeds++
        for (const key of ['sent', 'acknowledged', 'crashes', 'revocations'] as const)
          totals[key] += result.report[key]
      }
      return failures.length < maxShownFailures
    }),
  ),
)
for (const { seed, why } of failures) console.log(`FAILED seed ${seed}: ${why}`)
const seconds = Math.round((performance.now() - startedAt) / 1000)
console.log(
  `${totals.seeds} seeds run in ${seconds} s (${first} to ${first + count - 1}): ${totals.sent} messages sent, ` +
    `${totals.acknowledged} acknowledged and checked, ${totals.crashes} crashes, ${totals.revocations} revocations`,
)
if (failures.length > 0)
  console.log(`One of them again: npm run test:simulation -- --seed ${failures[0]?.seed} --log`)
let failed = failures.length > 0 ? 1 : 0
let passed = 1 - failed

if (values.seed === undefined) {
  const waiting = [...brokenVersions]
  await Promise.all(
    Array.from({ length: Math.min(2, availableParallelism()) }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const caught = await firstFailure(next.patches)
        if (caught === null) failed++
        else passed++
        const how =
          caught === null
            ? `NOT CAUGHT in ${maxBrokenSeeds} seeds`
            : `caught by seed ${caught.seed}: ${caught.why.split('\n')[0]}`
        console.log(`without ${next.what}: ${how}`)
      }
    }),
  )
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

async function firstFailure(patches: readonly Patch[]): Promise<{ seed: number; why: string } | null> {
  let caught: { seed: number; why: string } | null = null
  await runSeeds({ first, last: first + maxBrokenSeeds - 1, step: 1 }, patches, (result) => {
    if (result.kind === 'failed') caught ??= result
    return result.kind !== 'failed'
  })
  return caught
}

/** Until the last one, or until `onResult` has seen enough. */
function runSeeds(
  range: { first: number; last: number; step: number },
  patches: readonly Patch[],
  onResult: (result: SeedResult) => boolean,
): Promise<void> {
  const execArgv = [
    '--disable-warning=ExperimentalWarning',
    ...(patches.length === 0 ? [] : [`--import=${patchedSource}`]),
  ]
  const env = {
    ...process.env,
    SPACEDOCK_TEST_PATCHES: JSON.stringify(patches),
    ...(values.log ? { SPACEDOCK_TEST_LOG: '1' } : {}),
  }
  const child = fork(worker, [range.first, range.last, range.step].map(String), { execArgv, env })
  return new Promise((resolve, reject) => {
    let last = range.first - range.step
    let isEnough = false
    child.on('message', (message) => {
      const result = message as SeedResult
      last = result.seed
      if (isEnough) return
      isEnough = !onResult(result)
      if (isEnough) child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (isEnough || last + range.step > range.last) return resolve()
      // It ended in the middle of one: the others are still to be run.
      const broke = last + range.step
      if (code === 1) return resolve(runSeeds({ ...range, first: broke }, patches, onResult))
      return resolve(
        void onResult({ kind: 'failed', seed: broke, why: `the worker ended with ${code ?? signal}` }),
      )
    })
  })
}
