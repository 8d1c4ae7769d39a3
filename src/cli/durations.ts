/** Parses `90s`, `15min`, `2h`, `1.5d` or `3w` to milliseconds; null for anything else. */
export function parseDuration(text: string): number | null {
  const found = /^(?<count>\d{1,9}(?:\.\d{1,3})?) ?(?<unit>s|min|h|d|w)$/u.exec(text.trim())
  if (found?.groups === undefined) return null
  const { count = '', unit = '' } = found.groups
  const milliseconds = Number(count) * (unitMs[unit] ?? 0)
  return milliseconds > 0 ? milliseconds : null
}

const unitMs: Record<string, number> = {
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
}

/** Formats as `3 d 4 h`, `12 min 5 s`: the two largest units. */
export function describeDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const units: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = units.findIndex(([count]) => count > 0)
  if (first === -1) return '0 s'
  return units
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

/** Formats as `4:59`, a clock that runs down; never below zero. */
export function countdown(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

/** Formats as `340 ms`, `2.1 s`: how long something took. */
export function describeTiming(milliseconds: number): string {
  if (milliseconds < 1) return `${milliseconds.toFixed(1)} ms`
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}
