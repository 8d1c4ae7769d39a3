/** Values of one figure, one for each round. */
export interface Spread {
  median: number
  /** First and third quartile: half of the rounds lie between them. */
  low: number
  high: number
}

/** Throws RangeError without any value. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), low: quantile(values, 0.25), high: quantile(values, 0.75) }
}

/** Value below which this share of the values lies, between two of them in proportion. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('there is no value')
  const sorted = values.toSorted((one, other) => one - other)
  const place = (sorted.length - 1) * share
  const [below = 0, above = below] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
  return below + (above - below) * (place - Math.floor(place))
}

/** Ratios round by round: what slows a whole round down falls out of them. NaN marks a round that failed. */
export function ratios(values: readonly number[], reference: readonly number[]): number[] {
  return values.map((value, round) => value / (reference[round] ?? Number.NaN)).filter(Number.isFinite)
}
