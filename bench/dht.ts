import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import type { DhtFigures, DhtKind } from './dht-network.ts'

/**
 * How publishing and finding a record grow with the size of the DHT: our records over libp2p's Kademlia beside hyperdht's
 * mutable records, networks of the same sizes on this machine's loopback, one after the other in processes of their own.
 *
 *     npm run bench:dht -- [--sizes 20,50,100,200] [--rounds 5]
 *
 * All nodes of a network share one process, so the larger ones measure the processor more than the network: compare ratios.
 */
const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '20,50,100,200' },
    rounds: { type: 'string', default: '5' },
    'timeout-minutes': { type: 'string', default: '10' },
  },
})
const sizes = values.sizes.split(',').map(Number)
if (sizes.some((size) => !Number.isInteger(size) || size < 2)) {
  throw new RangeError('--sizes wants whole numbers from 2, separated by commas')
}
const run = promisify(execFile)
const kinds: DhtKind[] = ['spacedock', 'hyperdht']
const columns = {
  publishMs: 'publish ms',
  copies: 'copies',
  firstRecordMs: 'first record ms',
  againMs: 'again ms',
  queriesPerLookup: 'queries/lookup',
  memoryPerNodeMb: 'MB/node',
  startSeconds: 'start s',
}
const names = Object.keys(columns) as (keyof DhtFigures)[]

const results = new Map<string, DhtFigures>()
print(['nodes', 'DHT', ...Object.values(columns)])
for (const size of sizes) {
  for (const kind of kinds) {
    const figures = await measure(kind, size).catch((error: unknown) => failure(error))
    if (figures === null) {
      print([size, kind, '-'])
      continue
    }
    results.set(`${kind} ${size}`, figures)
    print([size, kind, ...names.map((column) => show(figures[column]))])
  }
  const [ours, theirs] = kinds.map((kind) => results.get(`${kind} ${size}`))
  if (ours === undefined || theirs === undefined) continue
  print(['', 'ratio', ...names.map((column) => `${show(ours[column] / theirs[column])}x`)])
}

const [smallest, largest] = [Math.min(...sizes), Math.max(...sizes)]
if (smallest < largest) {
  console.log(`\nFrom ${smallest} to ${largest} nodes (${show(largest / smallest)} times as many):`)
  for (const kind of kinds) {
    const [small, large] = [smallest, largest].map((size) => results.get(`${kind} ${size}`))
    if (small === undefined || large === undefined) continue
    print(['', kind, ...names.map((column) => `${show(large[column] / small[column])}x`)])
  }
}

async function measure(kind: DhtKind, size: number): Promise<DhtFigures> {
  const program = new URL('dht-network.ts', import.meta.url).pathname
  const timeout = Number(values['timeout-minutes']) * 60_000
  const args = [
    '--expose-gc',
    '--disable-warning=ExperimentalWarning',
    program,
    kind,
    String(size),
    values.rounds,
  ]
  const { stdout } = await run(process.execPath, args, { timeout, killSignal: 'SIGKILL' })
  return JSON.parse(stdout) as DhtFigures
}

/** Not within the time, or broken: the other sizes are of interest nevertheless. */
function failure(error: unknown): null {
  const killed = error instanceof Error && 'killed' in error && error.killed === true
  const text = error instanceof Error ? error.message : String(error)
  console.error(killed ? `not within ${values['timeout-minutes']} minutes` : text)
  process.exitCode = 1
  return null
}

function show(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)
}

function print(cells: (string | number)[]): void {
  const widths = [6, 10, 12, 8, 16, 10, 15, 9, 9]
  console.log(cells.map((cell, at) => String(cell).padStart(widths[at] ?? 8)).join(' '))
}
