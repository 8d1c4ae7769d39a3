import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { whyNoLab } from './requirements.ts'

/**
 * The lab's own tests, and the scenes: real daemons, each in a network namespace of its own, on networks that are built,
 * broken and mended while they talk. Arguments: only the files whose names contain one of these.
 */
const here = import.meta.dirname
const wanted = process.argv.slice(2)

interface Row {
  title: string
  result: 'passed' | 'FAILED' | 'skipped'
  seconds: number
  seen: string[]
  error: string
}

// Where the environment says CI, this does not come back when there is an obstacle.
const obstacle = await whyNoLab()
if (obstacle !== false) {
  console.log(`\nNOTHING WAS TESTED. ${obstacle}`)
  process.exit(0)
}
const failed = await runFiles(filesToRun())
process.exitCode = failed === 0 ? 0 : 1

/** The longest first, so that no core idles at the end. */
function filesToRun(): string[] {
  const own = readdirSync(here).filter((name) => name.endsWith('.test.ts'))
  const scenes = readdirSync(join(here, 'scenes')).toSorted(
    (one, other) => Number(other.startsWith('pulled')) - Number(one.startsWith('pulled')),
  )
  const all = [...scenes.map((name) => join(here, 'scenes', name)), ...own.map((name) => join(here, name))]
  return all.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
}

async function runFiles(files: string[]): Promise<number> {
  const startedAt = performance.now()
  const rows = new Map<string, Row[]>()
  const output = new Map<string, string>()
  const stream = run({ files, concurrency: 2, execArgv: ['--disable-warning=ExperimentalWarning'] })
  stream.on('test:pass', (event) => {
    if (event.details.type !== 'suite') note(event, event.skip === undefined ? 'passed' : 'skipped', '')
  })
  stream.on('test:fail', (event) => {
    const { error } = event.details
    const cause = error.cause instanceof Error ? (error.cause.stack ?? '') : String(error.cause ?? error)
    if (event.details.type !== 'suite') note(event, 'FAILED', cause)
  })
  // What a test reports comes right after how it ended.
  stream.on('test:diagnostic', ({ file = '', message }) => rows.get(file)?.at(-1)?.seen.push(message))
  stream.on('test:stderr', ({ file, message }) => output.set(file, (output.get(file) ?? '') + message))

  function note(
    event: { name: string; file?: string | undefined; details: { duration_ms: number } },
    result: Row['result'],
    error: string,
  ): void {
    const { name: title, file = '', details } = event
    const row = { title, result, seconds: details.duration_ms / 1000, seen: [], error }
    rows.set(file, [...(rows.get(file) ?? []), row])
    console.error(`${result === 'FAILED' ? 'FAILED' : 'ok'}  ${title}`)
  }

  await new Promise((resolve, reject) => {
    stream.once('end', resolve)
    stream.once('error', reject)
    stream.resume()
  })
  const all = [...rows.values()].flat()
  const failures = all.filter(({ result }) => result === 'FAILED')
  for (const file of new Set(failures.map((row) => fileOf(rows, row)))) {
    console.log(`\n=== ${relative(process.cwd(), file)}\n${output.get(file) ?? ''}`)
  }
  for (const { title, error } of failures) console.log(`\n=== ${title}\n${error}`)
  printTable(files, rows)
  console.log(`\n${Math.round((performance.now() - startedAt) / 1000)} s`)
  console.log(`${all.length - failures.length} passed, ${failures.length} failed`)
  // A run in which nothing ran must not look like one in which all went well.
  return all.length === 0 ? 1 : failures.length
}

function fileOf(rows: Map<string, Row[]>, row: Row): string {
  return [...rows].find(([, list]) => list.includes(row))?.[0] ?? ''
}

function printTable(files: string[], rows: Map<string, Row[]>): void {
  for (const file of files) {
    console.log(`\n${relative(here, file)}`)
    for (const { title, result, seconds, seen } of rows.get(file) ?? []) {
      console.log(`  ${result.padEnd(7)} ${`${seconds.toFixed(1)} s`.padStart(7)}  ${title}`)
      for (const line of seen) console.log(`${' '.repeat(19)}${line}`)
    }
  }
}
