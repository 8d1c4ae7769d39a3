import type { Results } from './results.ts'
import { goals, references, rows, type Goal, type Row } from './rows.ts'
import { ratios, spreadOf, type Spread } from './statistics.ts'

/** One line of the table. */
export interface Line {
  row: Row
  subject: string
  figure: Spread
  /** Ratio to the reference of the row, the median of the rounds; null for the reference itself, or where there is none. */
  ratio: { value: number; of: string } | null
  goal: (Goal & { figure: number; isReached: boolean }) | null
}

/** Puts the figures beside their references and goals. A subject of which every round failed has no line. */
export function judge(results: Results): Line[] {
  return rows.flatMap((row) =>
    results
      .subjects(row.id)
      .filter((subject) => results.values(row.id, subject).length > 0)
      .map((subject) => ({
        row,
        subject,
        figure: spreadOf(results.values(row.id, subject)),
        ratio: ratioOf(results, row.id, subject, references[row.id]),
        goal: goalOf(results, row, subject),
      })),
  )
}

function ratioOf(results: Results, row: string, subject: string, of: string | undefined): Line['ratio'] {
  if (of === undefined || of === subject) return null
  const all = ratios(results.rounds(row, subject), results.rounds(row, of))
  return all.length === 0 ? null : { value: spreadOf(all).median, of }
}

/** Goal of the row, judged by the median; null also when what it is a ratio to was not measured. */
function goalOf(results: Results, row: Row, subject: string): Line['goal'] {
  const goal = goals.find((each) => each.row === row.id && each.subject === subject)
  if (goal === undefined) return null
  const figure =
    goal.of === undefined
      ? spreadOf(results.values(row.id, subject)).median
      : ratioOf(results, row.id, subject, goal.of)?.value
  if (figure === undefined) return null
  return { ...goal, figure, isReached: row.better === 'less' ? figure <= goal.limit : figure >= goal.limit }
}
