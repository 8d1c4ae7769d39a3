import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { SpacedockError } from '../errors.ts'
import { makeDirectories } from '../make-directories.ts'
import { toStorageError } from './storage-error.ts'

/**
 * Makes the data directory with mode 0700, or checks the one that exists: a directory of ours, closed to everybody else. An
 * empty one of ours is closed. Another user's is refused to root as well, who would leave files in it that its owner cannot use.
 * Returns its absolute path.
 *
 * Errors: `invalid-argument`, `directory-unusable`, `disk-full`.
 */
export function prepareDataDirectory(dataDir: string): string {
  if (dataDir === '' || dataDir.includes('\0')) {
    throw new SpacedockError('invalid-argument', 'The name of the data directory is empty or not a path.', {
      hint: 'Give the path of a directory of its own.',
      option: 'dataDir',
    })
  }
  const directory = resolve(dataDir)
  try {
    if (makeDirectories(directory, 0o700)) {
      // The umask can only have taken bits away, and without them we could not use it ourselves.
      chmodSync(directory, 0o700)
      syncDirectory(dirname(directory))
    }
    const found = statSync(directory)
    if (!found.isDirectory())
      throw notUsable(`The data directory ${directory} is not a directory`, 'Choose another one.', 'dataDir')
    if (process.getuid !== undefined && found.uid !== process.getuid())
      throw notUsable(
        `The data directory ${directory} belongs to another user`,
        'Choose another one, or run this as its owner.',
        'dataDir',
      )
    if (isOpen(found.mode) && isEmpty(directory)) chmodSync(directory, 0o700)
    // Looked at anew: somebody may have put something there before it was closed.
    if (!isEmpty(directory)) checkMode(directory, found.mode, '700')
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw toStorageError(error, directory)
  }
  return directory
}

/**
 * Whether the file exists. Refuses with `directory-unusable` one that others may read or write, or that is no plain file. Never
 * opens the file: closing it again would drop the locks that SQLite holds on it for this process (POSIX, fcntl).
 */
export function checkPrivateFile(path: string): boolean {
  let found
  try {
    found = lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw toStorageError(error, dirname(path))
  }
  if (found === undefined) return false
  if (!found.isFile()) {
    throw notUsable(
      `In the data directory, ${path} is not a plain file`,
      'Put the real file there, or choose another data directory.',
      'dataDir',
    )
  }
  checkMode(path, found.mode, '600')
  return true
}

/**
 * Makes an empty file with mode 0600 when there is none; checks the one there is. Returns whether it was made. That it is there is
 * durable with the first thing that SQLite writes into it.
 */
export function ensurePrivateFile(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (isExisting(error)) {
      checkPrivateFile(path)
      return false
    }
    throw toStorageError(error, dirname(path))
  }
  return true
}

/** New content of a file, on the disk already, but not yet under its name. */
export interface StagedFile {
  /** Replaces the file; durable on return. */
  publish(): void
  discard(): void
}

/**
 * Writes the new content beside the file, so that publishing it needs no more space and is all or nothing whenever the
 * process dies. One writer at a time: the caller holds the directory's lock.
 */
export function stageFile(path: string, content: Uint8Array): StagedFile {
  const temporary = `${path}.tmp`
  const discard = (): void => rmSync(temporary, { force: true })
  try {
    // A killed process may have left one: not reused, because its mode or kind could be anything.
    discard()
    writeFileSync(temporary, content, { flag: 'wx', mode: 0o600, flush: true })
  } catch (error) {
    discard()
    throw toStorageError(error, dirname(path))
  }
  return {
    publish() {
      try {
        renameSync(temporary, path)
        syncDirectory(dirname(path))
      } catch (error) {
        throw toStorageError(error, dirname(path))
      }
    },
    discard,
  }
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}

/** Makes durable which files a directory has, and under which names. */
export function syncDirectory(directory: string): void {
  // Windows cannot open a directory, and its file systems journal the rename.
  if (process.platform === 'win32') return
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Whether others may do something there. Windows has no such bits; its user directories are private by their access lists. */
function isOpen(mode: number): boolean {
  return process.platform !== 'win32' && (mode & 0o077) !== 0
}

function isEmpty(directory: string): boolean {
  return readdirSync(directory).length === 0
}

function checkMode(path: string, mode: number, wanted: '600' | '700'): void {
  if (!isOpen(mode)) return
  const bits = (mode & 0o777).toString(8)
  throw notUsable(
    `${wanted === '700' ? 'The data directory' : 'The file'} ${path} is open to other users of this machine (mode ${bits})`,
    `Close it to them with "chmod ${wanted} ${shellQuoted(path)}".`,
  )
}

function notUsable(what: string, hint: string, option?: 'dataDir'): SpacedockError {
  return new SpacedockError('directory-unusable', `${what}.`, { hint, option })
}

function shellQuoted(path: string): string {
  return /^[\w./+@:-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
}
