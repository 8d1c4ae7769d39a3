import { homedir } from 'node:os'
import { isAbsolute } from 'node:path'
import { SpacedockError } from '../errors.ts'

/** Home directory of this user, who need not be in the system's list of users: in a container often is not. */
export function homeDirectory(): string {
  let found = ''
  try {
    found = homedir()
  } catch {
    // Neither HOME nor the list of users has one (uv_os_homedir).
  }
  if (isAbsolute(found)) return found
  throw new SpacedockError('directory-unusable', 'This user has no home directory.', {
    hint: 'Set HOME, or choose a data directory with --dir.',
  })
}
