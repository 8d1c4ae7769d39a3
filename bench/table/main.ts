import { statfsSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build, checkoutOf } from './checkout.ts'
import { bulk } from './jobs/bulk.ts'
import { durable } from './jobs/durable.ts'
import { install } from './jobs/install.ts'
import { quickSizes, usualSizes, type Job, type Sizes } from './jobs/job.ts'
import { joinByCommand } from './jobs/join.ts'
import { messages } from './jobs/messages.ts'
import { pairing } from './jobs/pairing.ts'
import { start } from './jobs/start.ts'
import { judge } from './judgement.ts'
import { Results } from './results.ts'
import { rows, skipped } from './rows.ts'
import { runRounds, type Side } from './run.ts'
import { comparisonTable, table } from './table.ts'

/**
 * How fast Spacedock is, beside what stands below it and its neighbours, and beside its goals (docs/performance.md):
 *
 *     npm run bench -- [--quick] [--rounds 5] [--rows bulk,start] [--megabytes 256] [--json FILE] [--compare COMMIT]
 */
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    rows: { type: 'string', default: rows.map(({ id }) => id).join() },
    megabytes: { type: 'string' },
    json: { type: 'string', default: 'bench.json' },
    compare: { type: 'string' },
  },
})
const rounds = wholeNumber('--rounds', values.rounds, values.quick ? 2 : 5)
const sizes: Sizes = { ...(values.quick ? quickSizes : usualSizes) }
sizes.bulkBytes = wholeNumber('--megabytes', values.megabytes, sizes.bulkBytes / 2 ** 20) * 2 ** 20
const chosen = values.rows.split(',')
for (const name of chosen) {
  if (rows.some(({ id }) => id === name)) continue
  throw new RangeError(`there is no row "${name}": ${rows.map(({ id }) => id).join(', ')}`)
}
const jobs: Job[] = [messages, bulk, durable, pairing, joinByCommand, start, install]
const wanted = jobs
  .map((job) => ({ ...job, rows: job.rows.filter((row) => chosen.includes(row)) }))
  .filter((job) => job.rows.length > 0)

const root = fileURLToPath(new URL('../..', import.meta.url))
const now: Side = { name: 'this checkout', checkout: root, results: new Results() }
show('building')
build(root)
const sides = [now]
if (values.compare !== undefined) {
  show(`building ${values.compare}`)
  sides.unshift({
    name: values.compare,
    checkout: checkoutOf(root, values.compare),
    results: new Results(),
  })
}
const failures = await runRounds({ jobs: wanted, sides, rounds, sizes, onProgress: show })
show('')

const machine = {
  node: process.version,
  system: `${process.platform} ${release()}`,
  processor: `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'}`,
  at: new Date().toISOString(),
}
if (sides.length === 1) {
  const lines = judge(now.results)
  console.log(table(lines))
  for (const [name, reason] of Object.entries(skipped)) console.log(`NOT MEASURED: ${name}: ${reason}`)
  const missed = lines.filter(({ goal }) => goal?.isReached === false).length
  const reached = lines.filter(({ goal }) => goal?.isReached === true).length
  console.log(
    `${reached} goals reached, ${missed} missed; medians of ${rounds} rounds. ${JSON.stringify(machine)}`,
  )
} else {
  const then = sides[0]?.results ?? now.results
  console.log(comparisonTable(then, now.results, rows, values.compare ?? ''))
  if (rounds < 5) console.log('Fewer than 5 rounds: what moved may be noise.')
}
if (isMemory(tmpdir())) console.log('The disk of the durable rows is memory: TMPDIR names another one.')
const all = Object.fromEntries(sides.map(({ name, results }) => [name, results]))
writeFileSync(
  values.json,
  `${JSON.stringify({ machine, rounds, sizes, rows, skipped, figures: all }, null, 2)}\n`,
)
console.log(`The figures of every round are in ${values.json}.`)
process.exitCode = failures === 0 ? 0 : 1

function wholeNumber(option: string, text: string | undefined, usual: number): number {
  const number = text === undefined ? usual : Number(text)
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`${option} wants a whole number from 1`)
  return number
}

/** Shows on one line of a terminal what is being done; failures stay. */
function show(text: string): void {
  if (process.stderr.isTTY && !text.includes('failed')) process.stderr.write(`\r\u001b[K${text}`)
  else if (text !== '') console.error(text)
}

/** Whether a directory is on tmpfs, where fsync does nothing. */
function isMemory(directory: string): boolean {
  return process.platform === 'linux' && statfsSync(directory).type === 0x01_02_19_94
}
