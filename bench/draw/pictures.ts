import { links, linkRows } from '../table/links.ts'
import type { Results } from '../table/results.ts'
import { goals, rows } from '../table/rows.ts'
import { quantile } from '../table/statistics.ts'
import { figure } from '../table/table.ts'
import { barPanel, panelHeight, type BarPanel } from './bars.ts'
import { linePanel, type LinePanel } from './lines.ts'
import { box, picture, text } from './svg.ts'

/** Pictures of docs/performance.md, by the names of their files; one of which nothing was measured is left out. */
export function pictures(results: Results): Record<string, string> {
  const bars = {
    'messages.svg': ['round-trip-32', 'in-flight-32', 'in-flight-1024', 'bulk'],
    'cost.svg': ['cpu-sender', 'cpu-receiver', 'memory-sender', 'memory-receiver'],
    'people.svg': ['pairing', 'join', 'join-cold', 'start', 'idle-memory', 'install-size'],
    'scale.svg': ['paired-memory', 'paired-cpu', 'paired-packets', 'pairings-at-once'],
  }
  const drawn = Object.entries(bars).flatMap(([name, ids]) => {
    const panels = ids.flatMap((id) => panelOf(results, id))
    return panels.length === 0 ? [] : [[name, barPicture(panels)] as const]
  })
  const overLinks = linkPicture(results)
  return Object.fromEntries(overLinks === null ? drawn : [...drawn, ['links.svg', overLinks]])
}

const [width, margin, gap] = [920, 16, 28]
const panelWidth = (width - 2 * margin - gap) / 2

function barPicture(panels: readonly BarPanel[]): string {
  const pairs = Array.from({ length: Math.ceil(panels.length / 2) }, (_, index) =>
    panels.slice(2 * index, 2 * index + 2),
  )
  let y = margin
  const parts = pairs.flatMap((pair) => {
    const top = y
    y += Math.max(...pair.map(panelHeight))
    return pair.flatMap((panel, column) =>
      barPanel(panel, margin + column * (panelWidth + gap), top, panelWidth),
    )
  })
  return picture(width, y + 4, panels.map(({ title }) => title).join('; '), parts)
}

function panelOf(results: Results, id: string): BarPanel[] {
  const row = rows.find((each) => each.id === id)
  const bars = results.subjects(id).flatMap((subject) => {
    const value = medianOf(results, id, subject)
    if (value === null) return []
    return [{ name: nameOf(subject), value, label: figure(value), isOwn: subject.startsWith('spacedock') }]
  })
  if (row === undefined || bars.length === 0) return []
  const better = row.better === 'less' ? 'less is better' : 'more is better'
  const title = `${row.title}${row.unit === '' ? '' : `, ${row.unit}`} (${better})`
  return [{ title, bars, goal: goalOf(results, id) }]
}

/** The first goal of the row, as a figure. */
function goalOf(results: Results, id: string): number | null {
  const goal = goals.find(({ row }) => row === id)
  if (goal === undefined) return null
  if (goal.of === undefined) return goal.limit
  const reference = medianOf(results, id, goal.of)
  return reference === null ? null : reference * goal.limit
}

function linkPicture(results: Results): string | null {
  const kinds = [...new Set(links.map(({ megabits, loss }) => JSON.stringify({ megabits, loss })))]
  const panels = kinds.flatMap((kind) => linkPanel(results, JSON.parse(kind) as Kind))
  if (panels.length === 0) return null
  const height = 200
  const parts = panels.flatMap((panel, index) =>
    linePanel(panel, {
      x: margin + (index % 2) * (panelWidth + gap),
      y: margin + 22 + Math.floor(index / 2) * height,
      width: panelWidth,
      height: height - 12,
    }),
  )
  const key = [
    box(margin, margin, 12, 10, 'c0'),
    text(margin + 18, margin + 10, 'Spacedock'),
    box(margin + 100, margin, 12, 10, 'c2'),
    text(margin + 118, margin + 10, 'raw TCP'),
    text(width - margin, margin + 10, 'MB/s that arrive, by the round trip of the link', 'end quiet'),
  ]
  const rowsOfPanels = Math.ceil(panels.length / 2)
  return picture(width, margin + 22 + rowsOfPanels * height, 'bulk over links', [...key, ...parts])
}

interface Kind {
  megabits: number
  loss: number
}

function linkPanel(results: Results, { megabits, loss }: Kind): LinePanel[] {
  const chosen = links.filter((link) => link.megabits === megabits && link.loss === loss)
  const series = ['raw-tcp', 'spacedock-stream'].map((subject) => ({
    name: subject,
    isOwn: subject.startsWith('spacedock'),
    values: chosen.map((link) => medianOf(results, linkRows(link)[0].id, subject)),
  }))
  if (series.every(({ values }) => values.every((value) => value === null))) return []
  const rate = megabits < 1_000 ? `${megabits} Mbit/s` : `${megabits / 1_000} Gbit/s`
  const title = `${rate}, ${loss === 0 ? 'no' : `${loss * 100} %`} loss`
  return [{ title, places: chosen.map(({ roundTripMs }) => `${roundTripMs} ms`), series }]
}

function medianOf(results: Results, row: string, subject: string): number | null {
  const values = results.values(row, subject)
  return values.length === 0 ? null : quantile(values, 0.5)
}

function nameOf(subject: string): string {
  return subject.replace(/^spacedock-/u, '').replaceAll('-', ' ')
}
