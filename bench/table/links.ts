import type { Row } from './rows.ts'

/** Link between two network namespaces; each direction has the rate and the loss, and half of the round trip. */
export interface Link {
  roundTripMs: number
  megabits: number
  /** Share of the frames. */
  loss: number
}

/** All that the sweep measures. */
export const links: readonly Link[] = [0, 1, 20, 63, 200].flatMap((roundTripMs) =>
  [100, 1_000].flatMap((megabits) => [0, 0.01].map((loss) => ({ roundTripMs, megabits, loss }))),
)

/** Rows of one link: what arrives, round trips, and the first answer in a new stream. */
export function linkRows(link: Link): [LinkRow, LinkRow, LinkRow] {
  const id = `${link.roundTripMs}ms-${link.megabits}mbit-${link.loss * 100}pct`
  const rate = link.megabits < 1_000 ? `${link.megabits} Mbit/s` : `${link.megabits / 1_000} Gbit/s`
  const title = `${link.roundTripMs} ms, ${rate}, ${link.loss * 100} % loss`
  return [
    { id: `bulk-${id}`, title: `bulk, ${title}`, unit: 'MB/s', better: 'more' },
    { id: `round-trip-${id}`, title: `round trip, ${title}`, unit: 'ms', better: 'less' },
    { id: `first-answer-${id}`, title: `first answer, ${title}`, unit: 'ms', better: 'less' },
  ]
}

type LinkRow = Omit<Row, 'group'>
