import type { Row } from './rows.ts'
import { spreadOf } from './statistics.ts'

export type Movement = 'better' | 'worse' | 'same'

/** Share of the older median below which nothing is said to have moved, however quiet the machine. */
export const leastShare = 0.03

/**
 * Says whether a figure has moved beyond noise: its medians differ by more than the spreads of both together (of each, from the
 * first to the third quartile of its rounds), and by 3 %.
 */
export function movement(row: Row, older: readonly number[], newer: readonly number[]): Movement {
  const [before, after] = [spreadOf(older), spreadOf(newer)]
  const difference = after.median - before.median
  const noise = before.high - before.low + (after.high - after.low)
  if (Math.abs(difference) <= Math.max(noise, Math.abs(before.median) * leastShare)) return 'same'
  return difference < 0 === (row.better === 'less') ? 'better' : 'worse'
}
