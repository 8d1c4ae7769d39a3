import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import * as v from 'valibot'
import type { Database, Statement } from './database.ts'
import { newMark, type Marks } from './marks.ts'
import type { PersistentClock, StoreClock } from './persistent-clock.ts'

/** What is known of a data directory that is a copy: of another one, or of its own earlier state. */
export interface PutBack {
  /** Time of the wall clock when the copied state was last in use, milliseconds. */
  lastUsedAtMs: number
}

export interface PlaceParts {
  database: Database
  /** File of the database. */
  path: string
  marks: Marks
  clock: StoreClock
  lastingClock: PersistentClock
}

/**
 * Where the database lies: its file, and the mark of its directory. Both are written into it, so a state that was copied or put back
 * is one that names another file, or another mark than the one that is there. It is looked at when it is opened.
 */
export class Place {
  /** Null: it is the same, or was put back more than a week ago. */
  readonly putBack: PutBack | null
  readonly #parts: PlaceParts
  readonly #replace: Statement<never>
  #told: Told = { last_used_ms: null, put_back_ms: null }

  constructor(parts: PlaceParts) {
    this.#parts = parts
    const { database, path, marks, clock, lastingClock } = parts
    this.#replace = database.command('INSERT OR REPLACE INTO place VALUES (1, ?, ?, ?, ?, ?, ?)')
    const known = database.query('SELECT * FROM place', placeSchema).get()
    if (known !== undefined) this.#told = known
    if (known !== undefined && (isOtherFile(known, path) || isOtherMark(known, marks.list()))) {
      const used = Math.trunc(Math.min(lastingClock.lastKeptAtMs, clock.wall()))
      this.#told = { last_used_ms: used, put_back_ms: lastingClock.now() }
    }
    const { last_used_ms: usedMs, put_back_ms: putBackMs } = this.#told
    const isTold = usedMs !== null && putBackMs !== null && lastingClock.now() - putBackMs <= toldForMs
    this.putBack = isTold ? { lastUsedAtMs: usedMs } : null
    this.moveOn()
  }

  /**
   * Takes another mark, so that no earlier state of the database fits the directory any more. The database knows it first, and the one
   * that is there besides: whoever ends between the two steps leaves what fits.
   */
  moveOn(): void {
    const { path, marks } = this.#parts
    const { last_used_ms: usedMs, put_back_ms: putBackMs } = this.#told
    const mark = newMark()
    try {
      const file = fileAt(path)
      const [before = null] = marks.list()
      this.#replace.run(file.number, file.made, usedMs, putBackMs, mark, before)
      marks.replaceBy(mark)
    } catch {
      // The disk is full or read-only: it stays as it is, and what is to be told is told again at the next start.
    }
  }
}

/**
 * Whether the database is in another file than it used to be: copied with its directory, or put back from a backup. Then the time at
 * which the file was made differs. Its number often does, too, but is soon given again; it counts where a file system keeps no such
 * time and the system tells that of the last change instead.
 */
function isOtherFile(known: Known, path: string): boolean {
  const now = fileAt(path)
  return known.file_made !== now.made && (now.isTimeReal || known.file_number !== now.number)
}

/** Whether older content was written into the same files: the mark is one that it does not know, or its own lies beside the newer one. */
function isOtherMark({ mark, mark_before: before }: Known, found: readonly string[]): boolean {
  const [only = null] = found
  return found.length > 1 || ![mark, before].includes(only)
}

function fileAt(path: string): { number: string; made: string; isTimeReal: boolean } {
  const file = statSync(path, { bigint: true })
  // A file that was copied may have been made and written in one tick; files come into its directory whenever it is opened.
  const both = [file, statSync(dirname(path), { bigint: true })]
  const isTimeReal = both.some(({ birthtimeNs, ctimeNs }) => birthtimeNs !== ctimeNs)
  return { number: String(file.ino), made: String(file.birthtimeNs), isTimeReal }
}

const toldForMs = 7 * 24 * 3_600_000

const placeSchema = v.object({
  file_number: v.string(),
  file_made: v.string(),
  last_used_ms: v.nullable(v.number()),
  put_back_ms: v.nullable(v.number()),
  mark: v.nullable(v.string()),
  mark_before: v.nullable(v.string()),
})
type Known = v.InferOutput<typeof placeSchema>
type Told = Pick<Known, 'last_used_ms' | 'put_back_ms'>
