import type { Row } from './rows.ts'
import { spreadOf } from './statistics.ts'

export type Movement = 'better' | 'worse' | 'same'

/** Share of the older median below which nothing is said to have moved, however quiet the machine. */
const leastShare = 0.03
/** Share of the pairs that may go the other way: one of the 25 that five rounds of each make. */
const otherWay = 0.05

/**
 * Says whether a figure has moved beyond noise: of all pairs of an older round and a newer one, at least 95 in 100 go the same way,
 * and the medians differ by 3 %. Of five rounds and five that differ by nothing, 1.6 % do so (4 of the 252 orders in which ten values
 * can come), however the noise is distributed; of three and three, 10 %.
 */
export function movement(row: Row, older: readonly number[], newer: readonly number[]): Movement {
  const [before, after] = [spreadOf(older).median, spreadOf(newer).median]
  if (Math.abs(after - before) <= Math.abs(before) * leastShare) return 'same'
  const grown = older.flatMap((then) => newer.map((now) => (now === then ? 0.5 : now > then ? 1 : 0)))
  const share = grown.reduce((sum: number, each) => sum + each, 0) / grown.length
  if (share > otherWay && share < 1 - otherWay) return 'same'
  return share < 0.5 === (row.better === 'less') ? 'better' : 'worse'
}
