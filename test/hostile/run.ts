import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { whyNoLab } from '../lab/requirements.ts'
import { runFile } from '../lab/run-file.ts'

/**
 * Floods by neighbours and strangers, in networks of network namespaces: what each costs, and that nobody is kept out. The figures
 * depend on the computer; what is asserted compares two times of the same run. Arguments: only the files whose names contain one of these.
 */
const wanted = process.argv.slice(2)
const scenes = join(import.meta.dirname, 'scenes')

// Where the environment says CI, this does not come back when there is an obstacle.
const obstacle = await whyNoLab()
if (obstacle === false) process.exitCode = await runAll()
else console.log(`\nNOTHING WAS TESTED. ${obstacle}`)

/** Returns the exit code. Files run one after the other: each needs the computer for itself. */
async function runAll(): Promise<number> {
  const startedAt = performance.now()
  let failed = 0
  const files = readdirSync(scenes).filter(
    (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
  )
  for (const file of files) {
    const rows = await runFile(join(scenes, file))
    console.log(`\n${file}`)
    for (const { title, result, seconds, seen } of rows) {
      if (result === 'FAILED') failed++
      console.log(`  ${result.padEnd(7)} ${`${seconds.toFixed(1)} s`.padStart(7)}  ${title}`)
      for (const line of seen) console.log(`${' '.repeat(19)}${line}`)
    }
  }
  console.log(`\n${Math.round((performance.now() - startedAt) / 1_000)} s, ${failed} failed`)
  return failed > 0 ? 1 : 0
}
