import { brokenVersions, shipped, type Subject } from './broken.ts'
import { exploreRecords, type Bounds } from './exploration.ts'

/**
 * Explores every record of a set of devices within bounds, then shows that what it looks for can be found: each version that lacks
 * one rule must be caught. Exit code 1 when something does not hold or a version gets away. `--all`: minutes more.
 */
const bounds: readonly Bounds[] = [
  { identities: 3, statements: 4, replacements: true },
  { identities: 4, statements: 4, replacements: true },
  ...(process.argv.includes('--all') ? [{ identities: 3, statements: 5, replacements: false }] : []),
]
let [passed, failed] = [0, 0]

for (const each of bounds) {
  const { records, tried, violation } = exploreRecords(shipped, each)
  const size = `${records.toLocaleString('en')} records, ${tried.toLocaleString('en')} statements tried`
  console.log(`${told(each)}: ${violation === null ? size : fault(violation)}`)
  if (violation === null) passed++
  else failed++
}
for (const version of await brokenVersions('exploration')) {
  const violation = caught(version)
  console.log(`without ${version.what}: ${violation === null ? 'NOT CAUGHT' : fault(violation)}`)
  if (violation === null) failed++
  else passed++
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

/** Smaller bounds first: what a version lacks mostly shows within them. */
function caught(version: Subject): ReturnType<typeof exploreRecords>['violation'] {
  for (const statements of [3, 4]) {
    const { violation } = exploreRecords(version, { identities: 3, statements, replacements: false })
    if (violation !== null) return violation
  }
  return null
}

function told({ identities, statements, replacements }: Bounds): string {
  return `${identities} identities, ${statements} statements${replacements ? ', replacements among them' : ''}`
}

function fault({ invariant, log }: { invariant: string; log: string[] }): string {
  return `${invariant}\n  ${log.join('\n  ')}`
}
