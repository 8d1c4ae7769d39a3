import { line, path, text } from './svg.ts'

export interface Series {
  name: string
  isOwn: boolean
  /** One for each place on the axis below; null where there is none. */
  values: readonly (number | null)[]
}

export interface LinePanel {
  title: string
  /** Names of the places on the axis below. */
  places: readonly string[]
  series: readonly Series[]
}

/** Powers of ten on the axis at the left. */
const decades = 4
const axisWidth = 42

/** Lines over places that are equally far apart, on a logarithmic scale of four decades below the most. */
export function linePanel(
  { title, places, series }: LinePanel,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
): string[] {
  const left = x + axisWidth
  const [top, bottom] = [y + 24, y + height - 22]
  const most = Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0)))
  const highest = Math.ceil(Math.log10(most))
  const heightOf = (value: number): number => {
    const share = (Math.log10(value) - (highest - decades)) / decades
    return bottom - Math.max(0, share) * (bottom - top)
  }
  const placeOf = (index: number): number =>
    left + 16 + (index * (width - axisWidth - 32)) / (places.length - 1)
  const rules = Array.from({ length: decades + 1 }, (_, index) => {
    const value = 10 ** (highest - index)
    const at = heightOf(value)
    return [line(left, at, x + width, at, 'rule'), text(left - 6, at + 4, label(value), 'end quiet')]
  }).flat()
  const below = places.map((place, index) => text(placeOf(index), bottom + 16, place, 'middle quiet'))
  const lines = series.map(({ values, isOwn }) => {
    const points = values.flatMap((value, index) =>
      value === null ? [] : [[placeOf(index), heightOf(value)] as const],
    )
    return path(points, isOwn ? 'c0' : 'c2')
  })
  return [text(x, y + 12, title, 'title'), ...rules, ...below, ...lines]
}

function label(value: number): string {
  return value >= 1 ? value.toLocaleString('en') : String(Number(value.toPrecision(1)))
}
