import type { Row } from '../rows.ts'

/** Measurement that gives the figures of several rows at once. */
export interface Job {
  rows: readonly Row['id'][]
  /** Subjects, each measured once a round; those of Spacedock begin with its name. */
  subjects: readonly string[]
  /** Rounds that are enough whatever is asked for, where a figure is always the same. */
  mostRounds?: number
  /** Takes long: measured in one round only, unless two commits are compared. */
  isCostly?: boolean
  /** Says why it cannot be measured here; false when it can. */
  whyNot?: () => Promise<string | false>
  /** Measures one subject, of the checkout if it is Spacedock. */
  run: (subject: string, setting: Setting) => Promise<Partial<Record<Row['id'], number>>>
}

export interface Setting {
  /** Directory of the repository whose `dist` is measured. */
  checkout: string
  sizes: Sizes
  /** Aborts when the run is called off. */
  signal: AbortSignal
}

export interface Sizes {
  /** Time for each figure of messages. */
  seconds: number
  bulkBytes: number
  durableMessages: number
  pairings: number
  /** Time after which a program counts as idle. */
  idleMs: number
  /** Numbers of paired devices, each a measurement. */
  devices: readonly number[]
  /** Time for which these have nothing to say. */
  pairedIdleMs: number
  pairingsAtOnce: number
  /** Messages in a full box. */
  boxMessages: number
}

export const usualSizes: Sizes = {
  seconds: 2,
  bulkBytes: 256 * 2 ** 20,
  durableMessages: 500,
  pairings: 8,
  idleMs: 3_000,
  devices: [1, 200, 1_000],
  pairedIdleMs: 300_000,
  pairingsAtOnce: 100,
  boxMessages: 100_000,
}

export const quickSizes: Sizes = {
  seconds: 0.3,
  bulkBytes: 32 * 2 ** 20,
  durableMessages: 50,
  pairings: 2,
  idleMs: 500,
  devices: [1, 10],
  pairedIdleMs: 5_000,
  pairingsAtOnce: 10,
  boxMessages: 2_000,
}
