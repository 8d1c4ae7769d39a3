import { Results } from '../table/results.ts'

/** Figures that docs/performance.md shows: of one run, or of several of which each has other rows. */
export interface Figures {
  runs: readonly Run[]
}

export interface Run {
  machine: Record<string, string>
  rounds: number
  /** By row and subject. */
  figures: Record<string, Record<string, (number | null)[]>>
}

/** What `npm run bench` has written, of this checkout. */
export interface BenchFile {
  machine: Record<string, string>
  rounds: number
  figures: Record<string, Run['figures']>
}

export function runOf({ machine, rounds, figures }: BenchFile): Run {
  const [own] = Object.values(figures)
  if (own === undefined) throw new RangeError('there are no figures in it')
  return { machine, rounds, figures: own }
}

/** The rows of a later run take the place of those of an earlier one. */
export function resultsOf({ runs }: Figures): Results {
  const results = new Results()
  const all: Run['figures'] = Object.assign({}, ...runs.map(({ figures }) => figures))
  for (const [row, subjects] of Object.entries(all)) {
    for (const [subject, values] of Object.entries(subjects))
      for (const [round, value] of values.entries()) results.add(row, subject, round, value)
  }
  return results
}
