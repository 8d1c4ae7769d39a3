import { judge, type Line } from '../table/judgement.ts'
import { linkRows, links } from '../table/links.ts'
import type { Results } from '../table/results.ts'
import { quantile } from '../table/statistics.ts'
import { figure } from '../table/table.ts'
import type { Figures } from './figures.ts'

/** Figures as the tables of docs/performance.md. */
export function tables(figures: Figures, results: Results): string {
  const lines = judge(results)
  const main = lines.filter(({ row }) => row.group !== 'links')
  const machines = figures.runs.map(
    ({ machine, rounds }) =>
      `${rounds === 1 ? 'one round' : `${rounds} rounds`}, ${Object.values(machine).join(', ')}`,
  )
  const links = linkTable(results)
  return [
    markdown(
      ['figure', 'who', 'median', 'half of the rounds', 'ratio', 'goal'],
      main.map((line, index) => cells(line, main[index - 1])),
    ),
    ...(links === null ? [] : [links]),
    `Measured: ${machines.join('; ')}.`,
  ].join('\n\n')
}

function cells(line: Line, before: Line | undefined): string[] {
  const { row, subject, figure: spread, ratio, goal } = line
  const goalText =
    goal === null
      ? ''
      : `${row.better === 'less' ? '<=' : '>='} ${goal.limit}: ${goal.isReached ? 'reached' : 'missed'}`
  return [
    before?.row === row ? '' : `${row.title}${row.unit === '' ? '' : `, ${row.unit}`}`,
    subject,
    figure(spread.median),
    figure(spread.low) === figure(spread.high) ? '' : `${figure(spread.low)} .. ${figure(spread.high)}`,
    ratio === null ? '' : `${figure(ratio.value)} of ${ratio.of}`,
    goalText,
  ]
}

function linkTable(results: Results): string | null {
  const rows = links.flatMap((link) => {
    const values = linkRows(link).map(({ id }) =>
      ['raw-tcp', 'spacedock-stream'].map((subject) => {
        const all = results.values(id, subject)
        return all.length === 0 ? '' : figure(quantile(all, 0.5))
      }),
    )
    if (values.flat().every((value) => value === '')) return []
    const { roundTripMs, megabits, loss } = link
    return [
      [
        `${roundTripMs} ms, ${megabits} Mbit/s, ${loss * 100} %`,
        ...values.map((pair) => (pair.includes('') ? '' : pair.join(' / '))),
      ],
    ]
  })
  if (rows.length === 0) return null
  return markdown(['link: raw TCP / Spacedock', 'bulk, MB/s', 'round trip, ms', 'first answer, ms'], rows)
}

function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const all = [head, ...lines]
  const widths = head.map((_, column) => Math.max(3, ...all.map((line) => line[column]?.length ?? 0)))
  const row = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  return [row(head), row(widths.map((width) => '-'.repeat(width))), ...lines.map(row)].join('\n')
}
