import { statSync } from 'node:fs'
import * as v from 'valibot'
import type { Database } from './database.ts'
import type { PersistentClock, StoreClock } from './persistent-clock.ts'

/** What is known of a data directory that is a copy: of another one, or of its own earlier state. */
export interface PutBack {
  /** Time of the wall clock when the copied state was last in use, milliseconds. */
  lastUsedAtMs: number
}

/**
 * Finds out whether the database's file is another one than it used to be: copied with its directory, or put back from a backup.
 * Then both its number and the time at which it was made differ; on file systems that keep only one of the two, or where the old
 * content is written into the same file, nobody can tell. Null: it is the same, or was put back more than a week ago.
 */
export function lookAtPlace(
  database: Database,
  path: string,
  { clock, lastingClock }: { clock: StoreClock; lastingClock: PersistentClock },
): PutBack | null {
  const select = database.query('SELECT * FROM place', placeSchema)
  const replace = database.command('INSERT OR REPLACE INTO place VALUES (1, ?, ?, ?, ?)')
  const note = (usedMs: number | null, putBackMs: number | null): void => {
    try {
      replace.run(now.number, now.made, usedMs, putBackMs)
    } catch {
      // The disk is full: it is told again at the next start.
    }
  }
  const { ino, birthtimeNs } = statSync(path, { bigint: true })
  const now = { number: String(ino), made: String(birthtimeNs) }
  const known = select.get()
  if (known === undefined) {
    note(null, null)
    return null
  }
  if (known.file_number !== now.number && known.file_made !== now.made) {
    const used = Math.trunc(Math.min(lastingClock.lastKeptAtMs, clock.wall()))
    note(used, lastingClock.now())
    return { lastUsedAtMs: used }
  }
  const { last_used_ms: usedMs, put_back_ms: putBackMs } = known
  if (usedMs === null || putBackMs === null || lastingClock.now() - putBackMs > toldForMs) return null
  return { lastUsedAtMs: usedMs }
}

const toldForMs = 7 * 24 * 3_600_000

const placeSchema = v.object({
  file_number: v.string(),
  file_made: v.string(),
  last_used_ms: v.nullable(v.number()),
  put_back_ms: v.nullable(v.number()),
})
