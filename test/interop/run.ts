import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runFile, type Row } from '../lab/run-file.ts'

/**
 * Plays the same scenarios with every program under `interop/`, against real devices of ours. Arguments: only the files whose
 * names contain one of these.
 */
const here = import.meta.dirname
const wanted = process.argv.slice(2)
const startedAt = performance.now()
const rows: Row[] = []
for (const file of readdirSync(here).filter(isWanted)) rows.push(...(await runFile(join(here, file))))

console.log('\nwho, how: result')
for (const row of rows) console.log(`  ${row.result.padEnd(7)} ${row.title}: ${outcome(row)}`)
const failed = rows.filter(({ result }) => result === 'FAILED').length
const skipped = rows.filter(({ result }) => result === 'skipped').length
console.log(`\n${Math.round((performance.now() - startedAt) / 1000)} s`)
console.log(`${rows.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped`)
if (rows.length === skipped) console.log('NOTHING WAS TESTED.')
// A run in which nothing ran must not look like one in which all went well.
process.exitCode = failed > 0 || rows.length === skipped ? 1 : 0

function isWanted(file: string): boolean {
  return file.endsWith('.test.ts') && (wanted.length === 0 || wanted.some((part) => file.includes(part)))
}

function outcome({ seen, result, seconds }: Row): string {
  if (result === 'FAILED') return 'its error is above'
  return seen.length === 0 ? `${seconds.toFixed(1)} s` : seen.join('; ')
}
