import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SpacedockError } from '../errors.ts'
import { ensurePrivateFile } from './data-directory.ts'
import { toStorageError } from './storage-error.ts'

export interface DirectoryLock {
  /** May be called more than once. */
  release(): void
}

/**
 * Makes this process, and within it the caller, the only owner of the data directory. The lock is an exclusive
 * transaction on `lock.db`, an otherwise empty database: the operating system ends it with the process, however that
 * dies, so there is no stale lock to clean up.
 *
 * Errors: `already-running`, `directory-unusable`, `disk-full`.
 */
export function acquireLock(dataDir: string): DirectoryLock {
  const path = join(dataDir, 'lock.db')
  ensurePrivateFile(path)
  let held: DatabaseSync
  try {
    held = openLocked(path)
  } catch (error) {
    throw lockError(toStorageError(error, dataDir), dataDir, path)
  }
  let released = false
  return {
    release() {
      if (released) return
      released = true
      held.close()
    },
  }
}

function openLocked(path: string): DatabaseSync {
  const database = new DatabaseSync(path)
  try {
    database.exec('PRAGMA busy_timeout = 0')
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * Whether files there can be locked at all. SQLite reports a file system without locks (fcntl: ENOLCK) as it does a file that
 * somebody else has locked; nobody else has locked a file that was made just now.
 */
function hasLocks(dataDir: string): boolean {
  const path = join(dataDir, `lock-test-${process.pid}.db`)
  try {
    ensurePrivateFile(path)
    openLocked(path).close()
    return true
  } catch (error) {
    return toStorageError(error, dataDir).code !== 'already-running'
  } finally {
    rmSync(path, { force: true })
  }
}

function lockError(error: SpacedockError, dataDir: string, path: string): SpacedockError {
  if (error.code === 'already-running' && !hasLocks(dataDir)) {
    return new SpacedockError('directory-unusable', `The file system of ${dataDir} cannot lock files.`, {
      hint: 'Choose a data directory on a disk of this machine: without locks, two processes could use it at once.',
      option: 'dataDir',
      cause: error.cause,
    })
  }
  if (error.code === 'already-running') {
    return new SpacedockError(
      'already-running',
      `The data directory ${dataDir} is in use by another process.`,
      {
        hint: 'Stop that one first, or choose another data directory.',
        option: 'dataDir',
        cause: error.cause,
      },
    )
  }
  if (error.code === 'database-damaged') {
    return new SpacedockError('directory-unusable', `The file ${path} is not the lock file it should be.`, {
      hint: 'It holds nothing of value: make sure that no other process uses the directory, then delete this file.',
      cause: error.cause,
    })
  }
  return error
}
