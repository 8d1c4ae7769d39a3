import * as v from 'valibot'
import type { Database } from './database.ts'
import type { PersistentClock, StoreClock } from './persistent-clock.ts'

/**
 * Numbers of the inbox's messages, in the order of their arrival. Every opening of a database that was there before begins a new
 * block, at the microseconds of the wall clock: so no number is given again that was given after a backup was made, once the backup
 * is put back.
 */
export class InboxNumbers {
  readonly #selectLast
  readonly #update
  readonly #insert
  readonly #wall: StoreClock['wall']
  /** Whether no number of this database can be anywhere else. */
  readonly #isNew: boolean
  #isBegun: boolean

  constructor(database: Database, clock: PersistentClock) {
    this.#selectLast = database.query(
      `SELECT seq FROM sqlite_sequence WHERE name = 'inbox'`,
      v.object({ seq: v.number() }),
    )
    this.#update = database.command(`UPDATE sqlite_sequence SET seq = ? WHERE name = 'inbox'`)
    this.#insert = database.command(`INSERT INTO sqlite_sequence (name, seq) VALUES ('inbox', ?)`)
    this.#wall = () => clock.wallAt(clock.now())
    this.#isNew = clock.isNew && this.last() === 0
    this.#isBegun = this.#isNew
  }

  /** The last number that was given; 0 when there was none yet. */
  last(): number {
    return this.#selectLast.get()?.seq ?? 0
  }

  /** Begins the block of this opening, once. Called in the transaction that gives its first number. */
  begin(): void {
    if (this.#isBegun) return
    const last = this.last()
    const microseconds = Math.trunc(this.#wall()) * 1_000
    // A wall clock that stands before the last start, or beyond what numbers can say, is of no use.
    const isUseful = microseconds > last && microseconds < latestNumber
    const start = isUseful ? microseconds : Math.min(last + gap, Number.MAX_SAFE_INTEGER)
    if (this.#update.run(start) === 0) this.#insert.run(start)
    this.#isBegun = true
  }

  /** Begins it anew after a transaction that was rolled back: at worst a block is begun twice. */
  forget(): void {
    this.#isBegun = this.#isNew
  }
}

/** Numbers left out where no clock helps: more than messages that arrive between two backups. */
const gap = 1_000_000
/** Some time in the year 2112; all numbers of that many starts, and more, are safe integers. */
const latestNumber = 2 ** 52
