import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import { checkPrivateFile, ensurePrivateFile } from './data-directory.ts'
import { migrations, schemaVersion } from './schema.ts'
import { databaseDamaged, toStorageError } from './storage-error.ts'

export const databaseFileName = 'spacedock.db'

export interface Statement<Row> {
  all(...values: SQLInputValue[]): Row[]
  get(...values: SQLInputValue[]): Row | undefined
  /** Returns how many rows changed. */
  run(...values: SQLInputValue[]): number
}

/** Every method throws SpacedockErrors only. Durable means: survives kill -9 and a power cut. */
export interface Database {
  /** Rows that do not fit the schema are `database-damaged`. */
  query<Schema extends v.GenericSchema>(sql: string, row: Schema): Statement<v.InferOutput<Schema>>
  command(sql: string): Statement<never>
  /** All or nothing, durable on return. Must not be nested. */
  transaction<Result>(work: () => Result): Result
  /**
   * Does work that survives kill -9 on return, and a power cut with the next transaction: for what is a help and is not told to
   * anybody. Not inside of a transaction.
   */
  unhurried<Result>(work: () => Result): Result
  /** Empties the write-ahead log, which still holds what deleted rows said. */
  forgetDeleted(): void
  close(): void
}

export interface OpenDatabaseOptions {
  mayCreate: boolean
  /** Looks at a database of an earlier version before it is upgraded; when it throws, nothing is changed. */
  beforeUpgrade?: (database: Database) => void
}

/**
 * Opens the database, and makes it when `mayCreate`; one of an earlier version is upgraded, all at once or not at all. Call
 * it with the directory's lock held.
 *
 * Errors: `database-newer` (left as it is), `database-damaged`, `directory-unusable`, `disk-full`, `already-running`.
 */
export function openDatabase(path: string, { mayCreate, beforeUpgrade }: OpenDatabaseOptions): Database {
  const dataDir = path === ':memory:' ? null : dirname(path)
  const closedCleanly = dataDir !== null && checkFiles(path, mayCreate).closedCleanly
  let connection: DatabaseSync | undefined
  try {
    connection = new DatabaseSync(path, { enableForeignKeyConstraints: true })
    verify(connection, mayCreate)
    if (closedCleanly) verifyLength(connection, path)
    if (numberOf(connection, 'PRAGMA user_version') < schemaVersion) {
      beforeUpgrade?.(databaseOn(connection, dataDir))
      upgrade(connection, schemaVersion)
    }
  } catch (error) {
    connection?.close()
    throw toStorageError(error, dataDir)
  }
  return databaseOn(connection, dataDir)
}

function checkFiles(path: string, mayCreate: boolean): { closedCleanly: boolean } {
  for (const companion of [`${path}-wal`, `${path}-shm`, `${path}-journal`]) checkPrivateFile(companion)
  // SQLite gives its companion files the mode of the database, so that is the one to make ourselves.
  if (mayCreate) ensurePrivateFile(path)
  else if (!checkPrivateFile(path)) throw databaseDamaged('it is missing, though this device has had one')
  // The database itself holds everything when there is no log to replay.
  return { closedCleanly: (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0 }
}

/** SQLite reads zeros where the last page was cut short, and calls that intact. */
function verifyLength(connection: DatabaseSync, path: string): void {
  const bytes = numberOf(connection, 'PRAGMA page_count') * numberOf(connection, 'PRAGMA page_size')
  // A database that was just made is still in the log.
  const logBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  if (logBytes === 0 && statSync(path).size < bytes) throw databaseDamaged('its file was cut short')
}

function verify(connection: DatabaseSync, mayCreate: boolean): void {
  connection.exec('PRAGMA busy_timeout = 5000')
  const version = numberOf(connection, 'PRAGMA user_version')
  if (version > schemaVersion) {
    throw new SpacedockError(
      'database-newer',
      `The database was written by a newer version of Spacedock (schema ${version}).`,
      {
        hint: 'Install the newest version; the data was left as it is.',
      },
    )
  }
  const empty = version === 0 && numberOf(connection, 'SELECT COUNT(*) FROM sqlite_schema') === 0
  if (empty && !mayCreate)
    throw databaseDamaged('it is empty, though this device has had pairings or messages')
  connection.exec('PRAGMA journal_mode = WAL')
  // Of a database that is made just now nothing counts before its first transaction.
  connection.exec(`PRAGMA synchronous = ${empty ? 'NORMAL' : 'FULL'}`)
  connection.exec('PRAGMA trusted_schema = OFF')
  connection.exec('PRAGMA secure_delete = ON')
  connection.exec('PRAGMA temp_store = MEMORY')
  if (empty) upgrade(connection, schemaVersion)
  connection.exec('PRAGMA synchronous = FULL')
  const check = connection.prepare('PRAGMA quick_check(1)').get()
  if (check?.['quick_check'] !== 'ok')
    throw databaseDamaged('its structure is broken', check?.['quick_check'])
  if (schemaOf(connection) !== expectedSchema(empty ? schemaVersion : version))
    throw databaseDamaged('its tables are not the ones that belong there')
}

/** Upgrades the tables; every failure closes the connection, which rolls back. */
function upgrade(connection: DatabaseSync, to: number): void {
  connection.exec('BEGIN IMMEDIATE')
  const from = numberOf(connection, 'PRAGMA user_version')
  for (const statement of migrations.slice(from, to).flat()) connection.exec(statement)
  connection.exec(`PRAGMA user_version = ${to}`)
  connection.exec('COMMIT')
}

/** Expected schemas, by version: they do not change while the program runs. */
const expectedSchemas = new Map<number, string>()

function expectedSchema(version: number): string {
  const known = expectedSchemas.get(version)
  if (known !== undefined) return known
  const reference = new DatabaseSync(':memory:')
  try {
    upgrade(reference, version)
    const expected = schemaOf(reference)
    expectedSchemas.set(version, expected)
    return expected
  } finally {
    reference.close()
  }
}

/** Tables, indexes, and the triggers and views that must not be there; with the version. */
function schemaOf(connection: DatabaseSync): string {
  const rows = connection
    .prepare(
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY type, name`,
    )
    .all()
  return JSON.stringify([numberOf(connection, 'PRAGMA user_version'), rows])
}

function numberOf(connection: DatabaseSync, sql: string): number {
  const [value] = Object.values(connection.prepare(sql).get() ?? {})
  if (typeof value !== 'number') throw databaseDamaged('it does not answer simple questions')
  return value
}

function databaseOn(connection: DatabaseSync, dataDir: string | null): Database {
  const guarded = <Result>(work: () => Result): Result => {
    try {
      return work()
    } catch (error) {
      throw toStorageError(error, dataDir)
    }
  }
  const statement = <Row>(sql: string, parse: (row: unknown) => Row): Statement<Row> => {
    const prepared = guarded(() => connection.prepare(sql))
    return {
      all: (...values) => guarded(() => prepared.all(...values)).map(parse),
      get(...values) {
        const row = guarded(() => prepared.get(...values))
        return row === undefined ? undefined : parse(row)
      },
      run: (...values) => guarded(() => Number(prepared.run(...values).changes)),
    }
  }
  let closed = false
  return {
    query: (sql, schema) => statement(sql, (row) => parseRow(schema, row)),
    command: (sql) =>
      statement<never>(sql, () => {
        throw new SpacedockError('internal', 'A command that returns rows.')
      }),
    transaction(work) {
      return guarded(() => {
        connection.exec('BEGIN IMMEDIATE')
        try {
          const result = work()
          connection.exec('COMMIT')
          return result
        } catch (error) {
          try {
            connection.exec('ROLLBACK')
          } catch {
            // Some failures, a full disk among them, have already rolled back; the first error is the one to tell.
          }
          throw error
        }
      })
    },
    unhurried(work) {
      guarded(() => connection.exec('PRAGMA synchronous = NORMAL'))
      try {
        return work()
      } finally {
        guarded(() => connection.exec('PRAGMA synchronous = FULL'))
      }
    },
    forgetDeleted: () => guarded(() => connection.exec('PRAGMA wal_checkpoint(TRUNCATE)')),
    close() {
      if (closed) return
      closed = true
      guarded(() => connection.close())
    },
  }
}

function parseRow<Schema extends v.GenericSchema>(schema: Schema, row: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, row)
  // The issue's own message may quote a key, so it is not passed on.
  if (!result.success) throw databaseDamaged('one of its rows holds what no version ever wrote')
  return result.output
}
