import { SpacedockError } from './errors.ts'

/**
 * Meaning of a failed operation on a file in this data directory for a person: `disk-full` or `directory-unusable`. Null for what
 * is no failure of the system (errno values, POSIX). Our own errors stay as they are.
 */
export function fileError(error: unknown, dataDir: string): SpacedockError | null {
  if (error instanceof SpacedockError) return error
  const code = systemCodeOf(error)
  if (code === null) return null
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(dataDir, error)
  return tooManyFiles(error) ?? directoryUnusable(dataDir, error)
}

/** Error of too many open files, sockets and processes (EMFILE, ENFILE); null for any other failure. */
export function tooManyFiles(error: unknown): SpacedockError | null {
  const code = systemCodeOf(error)
  if (code !== 'EMFILE' && code !== 'ENFILE') return null
  return new SpacedockError('directory-unusable', 'No more files can be opened on this machine.', {
    hint: 'Close some programs, or raise the limit of open files ("ulimit -n").',
    cause: error,
  })
}

export function diskFull(place: string, cause?: unknown): SpacedockError {
  return new SpacedockError('disk-full', `There is no space left to store anything in ${place}.`, {
    hint: 'Free some disk space (or raise the quota), then try again; what was stored before is intact.',
    cause,
  })
}

export function directoryUnusable(place: string, cause: unknown): SpacedockError {
  const reason = reasons[systemCodeOf(cause) ?? ''] ?? messageOf(cause)
  return new SpacedockError('directory-unusable', `The data directory ${place} cannot be used: ${reason}.`, {
    hint: 'Check that it belongs to you and that its disk can be written to, or choose another one.',
    option: 'dataDir',
    cause,
  })
}

/** Meanings of the system's own names for a failure. */
const reasons: Record<string, string> = {
  EACCES: 'this user may not read or write there',
  EPERM: 'this user may not read or write there',
  EROFS: 'its disk is read-only',
  EEXIST: 'a file is in its place',
  ENOTDIR: 'a part of its path is a file',
  ENOENT: 'it was removed',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'its path is too long',
  EIO: 'its disk reports an error',
}

/** Code such as `ENOENT`; null for Node's own codes (`ERR_...`) and for none. */
export function systemCodeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  return error.code.startsWith('E') && !error.code.startsWith('ERR_') ? error.code : null
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
