import * as v from 'valibot'
import type { Clock } from '../api.ts'
import type { Database } from './database.ts'
import { epochMilliseconds } from './columns.ts'

/** Storage reads the time of day for what people read, and how time passes for how long messages are kept. */
export type StoreClock = Pick<Clock, 'wall' | 'monotonic' | 'sinceBoot' | 'bootId'> &
  Partial<Pick<Clock, 'after'>>

/**
 * Time that things have been kept, over all runs of the program. While it runs, the time that passes counts, whatever somebody
 * does to the wall clock. Between two runs the clock that goes on since the machine was started counts; when the machine was off,
 * too, only the wall clock knows, and is believed forward and up to a day: it may have been set since the time was written down,
 * and what is kept a little too long does less harm than what is lost.
 */
export interface PersistentClock {
  /** Whether the database was made just now. */
  readonly isNew: boolean
  /** The wall clock's time when this was written down the last time before it was opened. */
  readonly lastKeptAtMs: number
  /** Milliseconds; begins as the wall clock's when the database is made. */
  now(): number
  /** The wall clock's time when this clock will show, or has shown, `timeMs`: for people. */
  wallAt(timeMs: number): number
  /** Writes down the time. */
  keep(): void
  /** Writes it down when that is a minute ago, or the wall clock was set since. */
  keepNowAndThen(): void
  /** Stops looking whether the wall clock was set. */
  close(): void
}

export function openPersistentClock(database: Database, clock: StoreClock): PersistentClock {
  const select = database.query('SELECT * FROM lasting_clock', keptSchema)
  const replace = database.command('INSERT OR REPLACE INTO lasting_clock VALUES (1, ?, ?, ?, ?)')
  const passed = (): number => Math.trunc(clock.sinceBoot?.() ?? clock.monotonic())
  const wall = (): number => Math.trunc(clock.wall())
  const bootId = clock.bootId?.() ?? null

  const kept = select.get()
  const startedAt = passed()
  const openedAtMs =
    kept === undefined
      ? wall()
      : kept.time_ms + timeBetween(kept, { bootId, sinceBootMs: startedAt, wallMs: wall() })
  const now = (): number => openedAtMs + Math.max(0, passed() - startedAt)

  let keptLead = (kept?.wall_ms ?? wall()) - (kept?.time_ms ?? wall())
  let keptAtMs = openedAtMs
  const keep = (): void => {
    replace.run(now(), wall(), bootId, bootId === null ? null : Math.max(0, passed()))
    keptLead = wall() - now()
    keptAtMs = now()
  }
  const isSet = (): boolean => Math.abs(wall() - now() - keptLead) > toleranceMs
  // Without a first note of it, a clock that is set right away would be the one to begin with next time.
  if (kept === undefined) database.unhurried(keep)
  const stop = watch(clock, () => void (isSet() && keep()))

  return {
    isNew: kept === undefined,
    lastKeptAtMs: kept?.wall_ms ?? wall(),
    now,
    wallAt: (timeMs) => Math.min(latestMs, Math.max(0, wall() + timeMs - now())),
    keep,
    keepNowAndThen: () => void ((isSet() || now() - keptAtMs >= keptEveryMs) && keep()),
    close: stop,
  }
}

interface Moment {
  bootId: string | null
  sinceBootMs: number
  wallMs: number
}

/** Time from when it was written down to now, by the best clock that went on. */
function timeBetween(kept: Kept, { bootId, sinceBootMs, wallMs }: Moment): number {
  const isSameBoot = bootId !== null && kept.boot_id === bootId && kept.since_boot_ms !== null
  const sameBootMs = isSameBoot ? sinceBootMs - (kept.since_boot_ms ?? 0) : -1
  if (sameBootMs >= 0) return sameBootMs
  return Math.min(mostBelievedMs, Math.max(0, wallMs - kept.wall_ms))
}

/**
 * Looks every half minute: while nothing is written, nothing else tells that the wall clock was set. Without timers it does not.
 * Returns the stop.
 */
function watch(clock: StoreClock, look: () => void): () => void {
  let cancel: (() => void) | undefined
  const again = (): void => {
    cancel = clock.after?.(watchedEveryMs, again)
    try {
      look()
    } catch {
      // The disk is full: it is tried again.
    }
  }
  again()
  return () => cancel?.()
}

const keptSchema = v.object({
  time_ms: epochMilliseconds,
  wall_ms: epochMilliseconds,
  boot_id: v.nullable(v.string()),
  since_boot_ms: v.nullable(v.number()),
})
type Kept = v.InferOutput<typeof keptSchema>

/** Latest time that a Date can hold. */
export const latestMs = 8.64e15
/** Tolerance below which a wall clock counts as not set: clocks tick a little differently. */
const toleranceMs = 60_000
const keptEveryMs = 60_000
const watchedEveryMs = 30_000
/** Longest time for which the machine can have been off, as far as this is concerned. */
const mostBelievedMs = 24 * 3_600_000
