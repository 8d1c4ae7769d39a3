import type { Job, Sizes } from './jobs/job.ts'
import { Results } from './results.ts'

/** A checkout to be measured, and where its figures go. */
export interface Side {
  name: string
  checkout: string
  results: Results
}

export interface RunOptions {
  jobs: readonly Job[]
  /** The first is the one that baselines are measured with; with a second one, they are left out. */
  sides: readonly Side[]
  rounds: number
  sizes: Sizes
  /** Calls the run off; the present measurement is given up. */
  signal: AbortSignal
  /** Told of each measurement, and of each that failed. */
  onProgress: (text: string) => void
}

/** Measures: in every round each subject of each job once, every round beginning with another one. Returns the number of failures. */
export async function runRounds({
  jobs,
  sides,
  rounds,
  sizes,
  signal,
  onProgress,
}: RunOptions): Promise<number> {
  let failures = 0
  for (let round = 0; round < rounds; round++) {
    for (const job of jobs) {
      if (round >= roundsOf(job, rounds, sides)) continue
      for (const { subject, side } of turn(measurements(job, sides), round)) {
        if (signal.aborted) return failures
        onProgress(`round ${round + 1} of ${rounds}: ${job.rows[0]}, ${subject}, ${side.name}`)
        const setting = { checkout: side.checkout, sizes, signal }
        const figures = await job.run(subject, setting).catch((error: unknown) => {
          if (signal.aborted) return null
          failures++
          onProgress(`${subject} failed: ${error instanceof Error ? error.message : String(error)}`)
          return null
        })
        for (const row of job.rows) side.results.add(row, subject, round, figures?.[row] ?? null)
      }
    }
  }
  return failures
}

function roundsOf({ mostRounds, isCostly = false }: Job, rounds: number, sides: readonly Side[]): number {
  return mostRounds ?? (isCostly && sides.length === 1 ? 1 : rounds)
}

function measurements(job: Job, sides: readonly Side[]): { subject: string; side: Side }[] {
  return job.subjects
    .filter((subject) => sides.length === 1 || subject.startsWith('spacedock'))
    .flatMap((subject) => sides.map((side) => ({ subject, side })))
}

/** The same in another order: what is first, or after what, is so only in one round of several. */
function turn<Each>(all: readonly Each[], by: number): Each[] {
  if (all.length === 0) return []
  const first = by % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}
