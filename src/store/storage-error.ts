import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SpacedockError } from '../errors.ts'

/**
 * What a failed file or database operation means for a person. Knows errno values (POSIX) and SQLite's primary
 * result codes (https://www.sqlite.org/rescode.html).
 *
 * @param dataDir null for a database in memory
 */
export function toStorageError(error: unknown, dataDir: string | null): SpacedockError {
  if (error instanceof SpacedockError) return error
  const { code, errcode } = codesOf(error)
  const place = dataDir ?? 'memory'

  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(place, error)
  if (code === 'ERR_INVALID_STATE')
    return new SpacedockError('closed', 'The store is closed.', { cause: error })
  // An integer that no version of ours writes.
  if (code === 'ERR_OUT_OF_RANGE') return databaseDamaged('it holds a number out of range', error)
  if (errcode !== undefined) return fromSqlite(errcode & 0xff, error, dataDir)
  if (code?.startsWith('E') === true && !code.startsWith('ERR_')) return directoryUnusable(place, error)
  return new SpacedockError('internal', `Storage failed in ${place}: ${messageOf(error)}.`, { cause: error })
}

export function databaseDamaged(what: string, cause?: unknown): SpacedockError {
  return new SpacedockError('database-damaged', `The database cannot be trusted: ${what}.`, {
    hint:
      'Put the whole data directory back from its newest backup, or move it away and pair your devices again. ' +
      'Nothing was changed.',
    cause,
  })
}

function diskFull(place: string, cause?: unknown): SpacedockError {
  return new SpacedockError('disk-full', `There is no space left to store anything in ${place}.`, {
    hint: 'Free some disk space (or raise the quota) and try again. What was stored before is intact.',
    cause,
  })
}

function directoryUnusable(place: string, cause: unknown): SpacedockError {
  return new SpacedockError(
    'directory-unusable',
    `The data directory ${place} cannot be used: ${messageOf(cause)}.`,
    {
      hint: 'Check that it exists, belongs to you and is not on a read-only disk, or choose another one.',
      cause,
    },
  )
}

function fromSqlite(primaryCode: number, error: unknown, dataDir: string | null): SpacedockError {
  const place = dataDir ?? 'memory'
  switch (primaryCode) {
    case 13: // SQLITE_FULL
      return diskFull(place, error)
    case 10: // SQLITE_IOERR: also how SQLite reports an exceeded quota, or a full disk under its shared-memory file
    case 14: // SQLITE_CANTOPEN
      return dataDir !== null && isFull(dataDir) ? diskFull(place, error) : directoryUnusable(place, error)
    case 11: // SQLITE_CORRUPT
    case 24: // SQLITE_FORMAT
    case 26: // SQLITE_NOTADB
      return databaseDamaged(messageOf(error), error)
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return new SpacedockError('already-running', `Another program is using the database in ${place}.`, {
        hint: 'Stop the other program and try again.',
        cause: error,
      })
    case 3: // SQLITE_PERM
    case 8: // SQLITE_READONLY
      return directoryUnusable(place, error)
    default:
      return new SpacedockError('internal', `The database in ${place} failed: ${messageOf(error)}.`, {
        cause: error,
      })
  }
}

/** Free-space figures do not know quotas: the only honest question is whether a small file can be written. */
function isFull(dataDir: string): boolean {
  const probe = join(dataDir, 'space-probe.tmp')
  try {
    writeFileSync(probe, new Uint8Array(64 * 1024), { mode: 0o600 })
    return false
  } catch (error) {
    const { code } = codesOf(error)
    return code === 'ENOSPC' || code === 'EDQUOT'
  } finally {
    rmSync(probe, { force: true })
  }
}

function codesOf(error: unknown): { code: string | undefined; errcode: number | undefined } {
  if (!(error instanceof Error)) return { code: undefined, errcode: undefined }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const errcode = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined
  return { code, errcode }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
