import { readdirSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { whyNoLab } from './requirements.ts'
import { runFile, type Row } from './run-file.ts'

/**
 * The lab's own tests, and the scenes: real daemons, each in a network namespace of its own, on networks that are built,
 * broken and mended while they talk. Arguments: only the files whose names contain one of these.
 */
const here = import.meta.dirname
const wanted = process.argv.slice(2)
const atOnce = 2
/** The longest last. */
const longest = ['absence.ts', 'first-contact.ts', 'pulled-cable.ts', 'public-network.ts']
/** These wait for most of their time: they run beside the others, one after the other. */
const waiting = ['suspended.ts', 'blocked-path.ts', 'late-joiner.ts', 'nats.ts']

// Where the environment says CI, this does not come back when there is an obstacle.
const obstacle = await whyNoLab()
if (obstacle === false) process.exitCode = await runAll(filesToRun())
else console.log(`\nNOTHING WAS TESTED. ${obstacle}`)

/** The longest first, so that no core idles at the end. */
function filesToRun(): string[] {
  const scenes = readdirSync(join(here, 'scenes')).sort((a, b) => longest.indexOf(b) - longest.indexOf(a))
  const own = readdirSync(here).filter((name) => name.endsWith('.test.ts'))
  return [...scenes.map((name) => join('scenes', name)), ...own]
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .map((file) => join(here, file))
}

/** Returns the exit code. */
async function runAll(files: string[]): Promise<number> {
  const startedAt = performance.now()
  const rows = new Map<string, Row[]>(files.map((file) => [file, []]))
  const busy = files.filter((file) => !isWaiting(file))
  const workOff = async (queue: string[]): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      rows.set(file, await runFile(file))
    }
  }
  await Promise.all([
    workOff(files.filter(isWaiting)),
    ...Array.from({ length: atOnce }, async () => workOff(busy)),
  ])
  for (const [file, list] of rows) print(file, list)
  const all = [...rows.values()].flat()
  const failed = all.filter(({ result }) => result === 'FAILED').length
  const skipped = all.filter(({ result }) => result === 'skipped').length
  console.log(`\n${Math.round((performance.now() - startedAt) / 1000)} s`)
  console.log(
    `${all.length - failed - skipped} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`,
  )
  // A run in which nothing ran must not look like one in which all went well.
  return failed > 0 || all.length === skipped ? 1 : 0
}

/** Whether it mostly waits. */
function isWaiting(file: string): boolean {
  return waiting.includes(basename(file))
}

function print(file: string, rows: Row[]): void {
  console.log(`\n${relative(here, file)}`)
  for (const { title, result, seconds, seen } of rows) {
    console.log(`  ${result.padEnd(7)} ${`${seconds.toFixed(1)} s`.padStart(7)}  ${title}`)
    for (const line of seen) console.log(`${' '.repeat(19)}${line}`)
  }
}
