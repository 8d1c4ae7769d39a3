import { statfsSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { build, checkoutOf } from './checkout.ts'
import { bulk } from './jobs/bulk.ts'
import { durable } from './jobs/durable.ts'
import { install } from './jobs/install.ts'
import { linkJobs } from './jobs/links.ts'
import { inbox, outbox } from './jobs/boxes.ts'
import { paired } from './jobs/paired.ts'
import { pairingsAtOnce } from './jobs/pairings-at-once.ts'
import type { Job, Sizes } from './jobs/job.ts'
import { joinByCommand } from './jobs/join.ts'
import { messages } from './jobs/messages.ts'
import { pairing } from './jobs/pairing.ts'
import { start } from './jobs/start.ts'
import { judge } from './judgement.ts'
import { readyNeighbours } from './neighbours.ts'
import { parseOptions, type Options } from './options.ts'
import { Results } from './results.ts'
import { goals, notMeasured, rows } from './rows.ts'
import { openRunFolder } from './run-folder.ts'
import { runRounds, type Side } from './run.ts'
import { comparisonTable, table } from './table.ts'

/**
 * How fast Spacedock is, beside what stands below it and its neighbours, and beside its goals (docs/performance.md):
 *
 *     npm run bench -- [--quick] [--rounds 5] [--rows bulk,start] [--megabytes 256] [--json FILE] [--compare COMMIT]
 */
const jobsOf = (sizes: Sizes): readonly Job[] => [
  messages,
  bulk,
  durable,
  pairing,
  joinByCommand,
  start,
  install,
  pairingsAtOnce(sizes),
  outbox,
  inbox,
  paired(sizes),
  ...linkJobs,
]
/** Of this machine before anything was measured: what else it has to do spoils figures, and is said with them. */
const otherLoad = loadavg()[0] ?? 0
const root = fileURLToPath(new URL('../..', import.meta.url))

const options = readOptions()
if (options === null) process.exitCode = 2
else await bench(options)

function readOptions(): Options | null {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return null
  }
}

async function bench(options: Options): Promise<void> {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) {
    // Whoever interrupts again does not want to wait for daemons to end.
    process.on(signal, () => (interrupted.signal.aborted ? process.exit(1) : interrupted.abort()))
  }
  const folder = openRunFolder()
  const sides = checkouts(options.compare, folder)
  const missing = options.compare === null ? await readyNeighbours(folder, options.neighbours) : {}
  const { chosen, skipped } = await possible(
    jobsOf(options.sizes)
      .map((job) => ({
        ...job,
        rows: job.rows.filter((row) => options.rows.includes(row)),
        subjects: job.subjects.filter((subject) => missing[subject] === undefined),
      }))
      .filter((job) => job.rows.length > 0),
  )
  const { rounds, sizes } = options
  const { signal } = interrupted
  const failures = await runRounds({ jobs: chosen, sides, rounds, sizes, signal, onProgress: show })
  show('')
  report(options, sides, { ...missing, ...skipped })
  if (signal.aborted) console.log('CALLED OFF: the rounds that were left are missing.')
  if (failures > 0) console.log(`${failures} MEASUREMENTS FAILED: they are told of above.`)
  process.exitCode = failures === 0 && !signal.aborted ? 0 : 1
}

/** Jobs that can be done here; of the others, the reasons, by what they are about. */
async function possible(all: readonly Job[]): Promise<{ chosen: Job[]; skipped: Record<string, string> }> {
  const chosen: Job[] = []
  const skipped: Record<string, string> = {}
  for (const job of all) {
    const reason = (await job.whyNot?.()) ?? false
    if (reason === false) chosen.push(job)
    else skipped[job.rows.join(', ')] = reason
  }
  return { chosen, skipped: { ...notMeasured, ...skipped } }
}

/** This checkout, and before it the one that it is compared with; both are built. */
function checkouts(compare: string | null, folder: string): Side[] {
  show('building')
  build(root)
  const now = { name: 'this checkout', checkout: root, results: new Results() }
  if (compare === null) return [now]
  show(`building ${compare}`)
  return [{ name: compare, checkout: checkoutOf(root, compare, folder), results: new Results() }, now]
}

function report(
  { json, rounds, sizes }: Options,
  sides: readonly Side[],
  skipped: Readonly<Record<string, string>>,
): void {
  const [first, second] = sides
  if (first === undefined) return
  const machine = {
    node: process.version,
    system: `${process.platform} ${release()}`,
    processor: `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'}`,
    at: new Date().toISOString(),
    load: `load of others ${otherLoad.toFixed(1)}`,
  }
  if (second === undefined) reportGoals(first.results, skipped)
  else console.log(comparisonTable(first.results, second.results, rows, first.name))
  if (second !== undefined && rounds < 5) console.log('Fewer than 5 rounds: what moved may be noise.')
  if (isMemory(tmpdir())) console.log('THE DISK of the durable row IS MEMORY: set TMPDIR to measure another.')
  console.log(`Medians of ${rounds} rounds; ${Object.values(machine).join(', ')}`)
  const figures = Object.fromEntries(sides.map(({ name, results }) => [name, results]))
  writeFileSync(
    json,
    `${JSON.stringify({ machine, rounds, sizes, rows, goals, skipped, figures }, null, 2)}\n`,
  )
  console.log(`The figures of every round are in ${json}.`)
}

function reportGoals(results: Results, skipped: Readonly<Record<string, string>>): void {
  const lines = judge(results)
  console.log(table(lines))
  for (const [name, reason] of Object.entries(skipped)) console.log(`NOT MEASURED: ${name}: ${reason}`)
  const judged = lines.flatMap(({ goal }) => goal ?? [])
  const reached = judged.filter(({ isReached }) => isReached).length
  console.log(`${reached} of ${judged.length} goals are reached.`)
}

/** Shows on one line of a terminal what is being done; failures stay. */
function show(text: string): void {
  if (process.stderr.isTTY && !text.includes(' failed: ')) process.stderr.write(`\r\u001b[K${text}`)
  else if (text !== '') console.error(text)
}

/** Whether a directory is on tmpfs, where fsync does nothing. */
function isMemory(directory: string): boolean {
  return process.platform === 'linux' && statfsSync(directory).type === 0x01_02_19_94
}
