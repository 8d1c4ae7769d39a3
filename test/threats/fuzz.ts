import { parseArgs } from 'node:util'
import { fuzz } from './fuzz-run.ts'

/** The long run: node test/threats/fuzz.ts --runs 1000000 [--seed N] [--target NAME]. */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    target: { type: 'string' },
  },
})
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
console.log(`seed ${seed}`)
const failures = await fuzz({ runs: Number(values.runs), seed, only: values.target, onTarget: console.log })
for (const failure of failures) console.error(failure)
process.exitCode = failures.length === 0 ? 0 : 1
