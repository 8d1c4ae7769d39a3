import { box, line, text } from './svg.ts'

export interface Bar {
  name: string
  value: number
  label: string
  isOwn: boolean
}

export interface BarPanel {
  title: string
  bars: readonly Bar[]
  /** In the unit of the bars; null for none. */
  goal: number | null
}

const rowHeight = 18
const nameWidth = 112
const labelWidth = 62

export function panelHeight({ bars }: BarPanel): number {
  return 26 + bars.length * rowHeight + 12
}

/** Bars from the left, one below the other, the longest as long as there is room. */
export function barPanel(panel: BarPanel, x: number, y: number, width: number): string[] {
  const { title, bars, goal } = panel
  const room = width - nameWidth - labelWidth
  const most = Math.max(goal ?? 0, ...bars.map(({ value }) => value))
  const lengthOf = (value: number): number => (most === 0 ? 0 : (value / most) * room)
  const left = x + nameWidth
  const drawn = bars.flatMap(({ name, value, isOwn }, index) => {
    const top = y + 22 + index * rowHeight
    const length = lengthOf(value)
    return [
      text(left - 6, top + 12, name, 'end quiet'),
      box(left, top + 2, Math.max(1, length), rowHeight - 5, isOwn ? 'c0' : 'c1'),
    ]
  })
  // Over the goal.
  const labels = bars.map(({ value, label }, index) =>
    text(left + lengthOf(value) + 5, y + 34 + index * rowHeight, label),
  )
  const goalX = left + lengthOf(goal ?? 0)
  const mark = goal === null ? [] : [line(goalX, y + 20, goalX, y + 22 + bars.length * rowHeight, 'goal')]
  return [text(x, y + 12, title, 'title'), ...drawn, ...mark, ...labels]
}
