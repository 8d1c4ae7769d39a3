import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SpacedockError } from '../errors.ts'
import { directoryUnusable, diskFull, fileError, messageOf } from '../file-errors.ts'

/**
 * Meaning of a failed file or database operation for a person. Knows SQLite's primary result codes
 * (https://www.sqlite.org/rescode.html).
 *
 * @param dataDir null for a database in memory
 */
export function toStorageError(error: unknown, dataDir: string | null): SpacedockError {
  if (error instanceof SpacedockError) return error
  const { code, errcode } = codesOf(error)
  const place = dataDir ?? 'memory'

  if (code === 'ERR_INVALID_STATE')
    return new SpacedockError('closed', 'The node was closed.', { cause: error })
  // An integer that no version of ours writes.
  if (code === 'ERR_OUT_OF_RANGE') return databaseDamaged('it holds a number out of range', error)
  if (errcode !== undefined) return fromSqlite(errcode & 0xff, error, dataDir)
  return fileError(error, place) ?? storageFailed(place, error)
}

/** Whether writing failed, and not because the store was closed. */
export function isDiskFailure(error: unknown): error is SpacedockError {
  return error instanceof SpacedockError && error.code !== 'closed'
}

export function databaseDamaged(what: string, cause?: unknown): SpacedockError {
  const hint = damagedHint('the data directory')
  return new SpacedockError('database-damaged', `The database cannot be trusted: ${what}.`, { hint, cause })
}

/**
 * Adds the directory to damage: its finder often does not know where it is, and a person with several data directories has to.
 */
export function nameDamaged(error: unknown, dataDir: string): unknown {
  if (!(error instanceof SpacedockError) || error.code !== 'database-damaged') return error
  const hint = damagedHint(dataDir)
  return new SpacedockError(error.code, error.message, { hint, cause: error.cause })
}

function damagedHint(place: string): string {
  return `Put ${place} back as a whole from its newest backup, or move it away and pair your devices again. Nothing was changed.`
}

function storageFailed(place: string, cause: unknown): SpacedockError {
  return new SpacedockError('internal', `Storage failed in ${place}: ${messageOf(cause)}.`, {
    hint: 'Try again; if it happens again, please report it.',
    cause,
  })
}

function fromSqlite(primaryCode: number, error: unknown, dataDir: string | null): SpacedockError {
  const place = dataDir ?? 'memory'
  switch (primaryCode) {
    case 13: // SQLITE_FULL
      return diskFull(place, error)
    case 3: // SQLITE_PERM
    case 8: // SQLITE_READONLY
    case 10: // SQLITE_IOERR: also how SQLite reports an exceeded quota, a full disk under its shared-memory file, or a read-only one
    case 14: // SQLITE_CANTOPEN
      return (dataDir === null ? null : whyNothingIsWritten(dataDir)) ?? directoryUnusable(place, error)
    case 11: // SQLITE_CORRUPT
      return databaseDamaged('its structure is broken', error)
    case 24: // SQLITE_FORMAT
    case 26: // SQLITE_NOTADB
      return databaseDamaged('its file is not a database', error)
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return new SpacedockError('already-running', `Another program is using the database in ${place}.`, {
        hint: 'Stop the other program, then try again.',
        cause: error,
      })
    default:
      return storageFailed(place, error)
  }
}

/**
 * What is the matter with the disk; null when it takes a small file. Free-space figures do not know quotas, nor mount options what
 * the kernel made of a broken disk: the only honest question is whether something can be written.
 */
function whyNothingIsWritten(dataDir: string): SpacedockError | null {
  const trial = join(dataDir, 'space-trial.tmp')
  try {
    writeFileSync(trial, new Uint8Array(64 * 1024), { mode: 0o600 })
    return null
  } catch (error) {
    return fileError(error, dataDir)
  } finally {
    rmSync(trial, { force: true })
  }
}

function codesOf(error: unknown): { code: string | undefined; errcode: number | undefined } {
  if (!(error instanceof Error)) return { code: undefined, errcode: undefined }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const errcode = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined
  return { code, errcode }
}
