import { SpacedockError } from '../errors.ts'
import { diskFull } from '../file-errors.ts'
import { openDatabase, type Database, type Statement } from './database.ts'
import { memoryIdentity } from './identity.ts'
import { storeOn, type Store, type StoreParts } from './store.ts'

/** A disk in memory, for simulations: it keeps what was written, whatever becomes of the store that wrote it. */
export interface MemoryDisk {
  /** Opens the store on it. One that was opened before is cut off. */
  open(options: Omit<StoreParts, 'database' | 'identity'>): Store
  /**
   * Cuts the store off, as by kill -9: unwritten data never will be written. Transactions fail with `closed` from now on, and all
   * other writes go nowhere.
   */
  cutOff(): void
  /**
   * Calls back in the middle of everything that is written from now on, first before it is durable and then when it is: when
   * the disk is cut off there, this decides what is kept. Null: not any more.
   */
  watch(listener: ((moment: 'before' | 'after') => void) | null): void
  readonly isWatched: boolean
  /** Refuses all that is written, as a full disk does, or takes it again. */
  fill(isFull: boolean): void
  /** Gives its memory back. */
  close(): void
}

/** @param seed 32 bytes, the identity's */
export function memoryDisk(seed: Uint8Array): MemoryDisk {
  const database = openDatabase(':memory:', { mayCreate: true })
  const identity = memoryIdentity(seed)
  let plugged = { isCutOff: false }
  let isFull = false
  const requireSpace = (): void => {
    if (isFull) throw diskFull('memory', undefined)
  }
  let watcher: ((moment: 'before' | 'after') => void) | null = null

  function plugIn(): Database {
    const cable = { isCutOff: false }
    plugged.isCutOff = true
    plugged = cable
    let isInTransaction = false
    const requirePower = (): void => {
      if (cable.isCutOff) throw new SpacedockError('closed', 'The simulated device was killed.')
    }
    const statement = <Row>(real: Statement<Row>): Statement<Row> => ({
      all: (...values) => real.all(...values),
      get: (...values) => real.get(...values),
      run(...values) {
        if (isInTransaction) return real.run(...values)
        if (!cable.isCutOff) watcher?.('before')
        if (cable.isCutOff) return 0
        requireSpace()
        const changed = real.run(...values)
        watcher?.('after')
        return changed
      },
    })
    return {
      query: (sql, schema) => statement(database.query(sql, schema)),
      command: (sql) => statement(database.command(sql)),
      transaction(work) {
        requirePower()
        watcher?.('before')
        requirePower()
        requireSpace()
        isInTransaction = true
        const result = database.transaction(() => {
          try {
            return work()
          } finally {
            isInTransaction = false
          }
        })
        watcher?.('after')
        requirePower()
        return result
      },
      unhurried: (work) => work(),
      forgetDeleted: () => database.forgetDeleted(),
      close: () => void (cable.isCutOff = true),
    }
  }

  return {
    open: (options) => storeOn({ ...options, database: plugIn(), identity }, () => {}),
    cutOff: () => void (plugged.isCutOff = true),
    fill: (full) => void (isFull = full),
    watch: (listener) => void (watcher = listener),
    get isWatched() {
      return watcher !== null
    },
    close() {
      plugged.isCutOff = true
      database.close()
    },
  }
}
