import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Patch } from '../threats/threat.ts'
import { brokenVersions } from './broken.ts'
import type { StoryName } from './stories.ts'
import type { SeedResult } from './worker.ts'

/**
 * Random stories in a simulated network, of four kinds: `messages` (devices that send, crash, sleep, move and are revoked), `lives`
 * (applications that keep streams, ask for what takes seconds, send events and publications), `idle` (streams that are left alone), `boxes` (a full inbox,
 * clocks that are set, power cuts, full disks).
 * Then the same without one defence at a time, each of which has to be noticed.
 *
 *     npm run test:simulation -- --share 0.01                      # a hundredth of each
 *     npm run test:simulation -- --story lives --seeds 100         # one kind, without the broken ones
 *     npm run test:simulation -- --story lives --seed 4711 [--log] # one, again
 */
const { values } = parseArgs({
  options: {
    story: { type: 'string' },
    share: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    log: { type: 'boolean', default: false },
  },
})
const seedCounts: Record<StoryName, number> = { messages: 6_000, lives: 1_500, idle: 1_000, boxes: 300 }
const first = Number(values.seed ?? values.first)
const cores = Math.max(1, Math.min(4, availableParallelism()))
const worker = fileURLToPath(new URL('worker.ts', import.meta.url))
const patchedSource = new URL('../threats/patched-source.ts', import.meta.url).href
const maxShownFailures = 5
const maxBrokenSeeds = 2_000
let passed = 0
let failed = 0

for (const [name, count] of Object.entries(seedCounts) as [StoryName, number][]) {
  if ((values.story ?? name) !== name) continue
  const asked = values.seed === undefined ? values.seeds : 1
  const isFine = await tellAll(name, Math.ceil(Number(asked ?? count * Number(values.share))))
  if (isFine) passed++
  else failed++
}

if (values.seed === undefined && values.story === undefined) {
  const waiting = [...brokenVersions]
  await Promise.all(
    Array.from({ length: Math.min(2, availableParallelism()) }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const caught = await firstFailure(next.story ?? 'messages', next.patches)
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

/** Returns whether all of them went as they should. */
async function tellAll(story: StoryName, count: number): Promise<boolean> {
  const startedAt = performance.now()
  const last = first + count - 1
  const step = Math.min(count, cores)
  const totals: Record<string, number> = {}
  const failures: { seed: number; why: string }[] = []
  let told = 0
  await Promise.all(
    Array.from({ length: step }, (_, index) =>
      runSeeds({ story, first: first + index, last, step }, [], (result) => {
        if (result.kind === 'failed') failures.push(result)
        else {
          told++
          for (const [what, number] of Object.entries(result.report))
            totals[what] = (totals[what] ?? 0) + number
        }
        return failures.length < maxShownFailures
      }),
    ),
  )
  for (const { seed, why } of failures) console.log(`FAILED ${story} seed ${seed}: ${why}`)
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const counted = Object.entries(totals).map(([what, number]) => `${number} ${what}`)
  console.log(`${story}: ${told} seeds in ${seconds} s (${first} to ${last}): ${counted.join(', ')}`)
  const [failure] = failures
  if (failure === undefined) return true
  console.log(`One of them again: npm run test:simulation -- --story ${story} --seed ${failure.seed} --log`)
  return false
}

async function firstFailure(
  story: StoryName,
  patches: readonly Patch[],
): Promise<{ seed: number; why: string } | null> {
  let caught: { seed: number; why: string } | null = null
  await runSeeds({ story, first, last: first + maxBrokenSeeds - 1, step: 1 }, patches, (result) => {
    if (result.kind === 'failed') caught ??= result
    return result.kind !== 'failed'
  })
  return caught
}

/** Until the last one, or until `onResult` has seen enough. */
function runSeeds(
  range: { story: StoryName; first: number; last: number; step: number },
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
  const child = fork(worker, [range.story, range.first, range.last, range.step].map(String), {
    execArgv,
    env,
  })
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
