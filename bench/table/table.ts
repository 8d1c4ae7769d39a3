import { movement } from './comparison.ts'
import type { Line } from './judgement.ts'
import type { Results } from './results.ts'
import type { Row } from './rows.ts'
import { spreadOf } from './statistics.ts'

/** The lines as text, the goal beside the figure. */
export function table(lines: readonly Line[]): string {
  const head = ['', 'who', 'median', 'half of the rounds', 'ratio', 'goal', '']
  const cells = lines.map((line, at) => [
    lines[at - 1]?.row === line.row ? '' : title(line.row),
    line.subject,
    figure(line.figure.median),
    `${figure(line.figure.low)} .. ${figure(line.figure.high)}`,
    line.ratio === null ? '' : `${figure(line.ratio.value)} of ${line.ratio.of}`,
    goal(line),
    line.goal === null ? '' : line.goal.isReached ? 'reached' : 'missed',
  ])
  return aligned([head, ...cells])
}

/** Compares the figures of two commits; every row says by the rule in comparison.ts whether it moved. */
export function comparisonTable(older: Results, newer: Results, rows: readonly Row[], name: string): string {
  const head = ['', 'who', name, 'now', 'now / then', '']
  const cells = rows.flatMap((row) =>
    newer.subjects(row.id).flatMap((subject) => {
      const [then, now] = [older.values(row.id, subject), newer.values(row.id, subject)]
      if (then.length === 0 || now.length === 0) return []
      const [before, after] = [spreadOf(then).median, spreadOf(now).median]
      const moved = movement(row, then, now)
      return [[title(row), subject, figure(before), figure(after), figure(after / before), moved]]
    }),
  )
  return aligned([head, ...cells])
}

/** Three digits that count, or all of them before the point. */
export function figure(value: number): string {
  if (Math.abs(value) >= 100 || value === 0) return Math.round(value).toLocaleString('en')
  return value.toPrecision(3)
}

function goal({ goal, row }: Line): string {
  if (goal === null) return ''
  const bound = `${row.better === 'less' ? '<=' : '>='} ${goal.limit}`
  return goal.of === undefined ? bound : `${bound} of ${goal.of}`
}

function title({ title, unit }: Row): string {
  return unit === '' ? title : `${title}, ${unit}`
}

function aligned(lines: readonly (readonly string[])[]): string {
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
