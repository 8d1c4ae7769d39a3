import * as v from 'valibot'
import type { Clock } from '../api.ts'
import type { Database } from './database.ts'
import { epochMilliseconds } from './columns.ts'

/** Storage reads the time of day for what people read, and how time passes for how long messages are kept. */
export type StoreClock = Pick<Clock, 'wall' | 'monotonic' | 'sinceBoot'>

/**
 * Time that things have been kept, over all runs of the program. While it runs, the time that passes counts, whatever somebody
 * does to the wall clock; between two runs only the wall clock knows, and it counts when it has gone forward. So a clock that
 * jumps while the program runs neither ages a message nor makes it young. Only a crash with the wall clock set back loses time:
 * what has passed since this was written down, ten minutes at most.
 */
export interface PersistentClock {
  /** Milliseconds; begins as the wall clock's when the database is made. */
  now(): number
  /** The wall clock's time when this clock will show, or has shown, `timeMs`: for people. */
  wallAt(timeMs: number): number
  /** Writes down the time: what passed since then is counted by the wall clock at the next start. */
  keep(): void
  /**
   * Writes it down when that is a minute ago, or the wall clock was set since: the next start would take that for time that has
   * passed.
   */
  keepNowAndThen(): void
}

export function openPersistentClock(database: Database, clock: StoreClock): PersistentClock {
  const select = database.query(
    'SELECT time_ms, wall_ms FROM lasting_clock',
    v.object({ time_ms: epochMilliseconds, wall_ms: epochMilliseconds }),
  )
  const replace = database.command('INSERT OR REPLACE INTO lasting_clock VALUES (1, ?, ?)')
  const passed = (): number => clock.sinceBoot?.() ?? clock.monotonic()
  const wall = (): number => Math.trunc(clock.wall())

  const kept = select.get() ?? { time_ms: wall(), wall_ms: wall() }
  const openedAtMs = kept.time_ms + Math.max(0, wall() - kept.wall_ms)
  const startedAt = passed()
  const now = (): number => openedAtMs + Math.max(0, Math.trunc(passed() - startedAt))

  let keptLead = kept.wall_ms - kept.time_ms
  let keptAtMs = openedAtMs
  const keep = (): void => {
    keptLead = wall() - now()
    keptAtMs = now()
    replace.run(now(), wall())
  }

  return {
    now,
    wallAt: (timeMs) => Math.min(latestMs, Math.max(0, wall() + timeMs - now())),
    keep,
    keepNowAndThen() {
      const isSet = Math.abs(wall() - now() - keptLead) > toleranceMs
      if (isSet || now() - keptAtMs >= keptEveryMs) keep()
    },
  }
}

/** Latest time that a Date can hold. */
export const latestMs = 8.64e15
/** Tolerance below which a wall clock counts as not set: clocks tick a little differently. */
const toleranceMs = 60_000
const keptEveryMs = 60_000
