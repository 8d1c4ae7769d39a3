import { FuzzInput } from './fuzz-input.ts'
import { localTargets } from './fuzz-local.ts'
import { networkTargets } from './fuzz-network.ts'
import { pairingTargets } from './fuzz-pairing.ts'

export interface FuzzOptions {
  /** For each decoder. */
  runs: number
  seed: number
  /** Only this decoder. */
  only?: string | undefined
  /** Leaves the decoders after the first one that failed alone. @default false */
  stopsAtFailure?: boolean
  onTarget?: (line: string) => void
}

/** Most that may be left on the heap after a decoder, megabytes. */
const mostGrowthMb = 64

/** Every decoder with damaged inputs; what escaped, one line for each decoder that failed. */
export async function fuzz({
  runs,
  seed,
  only,
  stopsAtFailure = false,
  onTarget = () => {},
}: FuzzOptions): Promise<string[]> {
  const failures: string[] = []
  for (const { name, once } of [...networkTargets, ...pairingTargets, ...localTargets]) {
    if (only !== undefined && only !== name) continue
    if (stopsAtFailure && failures.length > 0) break
    const input = new FuzzInput(seed)
    const before = heapMb()
    const startedAt = performance.now()
    let run = 0
    try {
      for (; run < runs; run++) await once(input)
      const grownMb = heapMb() - before
      if (grownMb > mostGrowthMb) failures.push(`${name}: ${Math.round(grownMb)} MB are left behind`)
    } catch (error) {
      failures.push(
        `${name}, run ${run} of seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`,
      )
    }
    onTarget(`${name}: ${run} runs, ${Math.round(performance.now() - startedAt)} ms`)
  }
  return failures
}

function heapMb(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1024 / 1024
}
