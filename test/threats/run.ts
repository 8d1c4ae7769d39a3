import { availableParallelism } from 'node:os'
import { judge, type Judgement } from './judge.ts'
import { listThreats } from './threats.ts'

/**
 * Every attack of the table of threats, against the system as it is, where it has to fail, and against the system
 * without the defence, where it has to succeed. Arguments: only these rows.
 */
const wanted = process.argv.slice(2).map(Number)
const chosen = (await listThreats()).filter(
  ({ threat }) => wanted.length === 0 || wanted.includes(threat.row),
)
const startedAt = performance.now()

const judgements: Judgement[] = []
const queue = chosen.map((listed, place) => ({ listed, place }))
// Long ones first, so that no core idles at the end.
queue.sort((a, b) => (b.listed.threat.seconds ?? 0) - (a.listed.threat.seconds ?? 0))
await Promise.all(
  // Half of the time is waiting.
  Array.from({ length: Math.min(4, availableParallelism() + 1) }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      judgements[next.place] = await judge(next.listed)
      process.stderr.write('.')
    }
  }),
)
process.stderr.write('\n')

for (const { threat, outcome, attack, without } of judgements) {
  console.log(`${outcome === 'passed' ? 'ok    ' : 'FAILED'} threat ${threat.row}: ${threat.title}`)
  console.log(`         the attack ${attack.text}`)
  for (const { what, text } of without) console.log(`         without ${what}: it ${text}`)
}
const failed = judgements.filter(({ outcome }) => outcome === 'failed').length
console.log(`${Math.round((performance.now() - startedAt) / 1000)} s`)
console.log(`${judgements.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
