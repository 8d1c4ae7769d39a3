import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SpacedockError } from './errors.ts'
import { systemCodeOf } from './file-errors.ts'

/**
 * Makes a directory, and those above it that are missing; returns whether it was made. Node's own recursive way never returns where
 * nothing can be made and the system says that the parent is missing, as below /proc.
 *
 * Errors: `directory-unusable`, or the system's.
 */
export function makeDirectories(path: string, mode: number): boolean {
  const first = makeOne(path, mode)
  if (first !== 'no-parent') return first === 'made'
  const parent = dirname(path)
  if (existsSync(parent)) throw noPlace(path)
  makeDirectories(parent, mode)
  const second = makeOne(path, mode)
  if (second === 'no-parent') throw noPlace(path)
  return second === 'made'
}

function makeOne(path: string, mode: number): 'made' | 'exists' | 'no-parent' {
  try {
    mkdirSync(path, { mode })
    return 'made'
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'EEXIST') return 'exists'
    if (code === 'ENOENT') return 'no-parent'
    throw error
  }
}

function noPlace(path: string): SpacedockError {
  return new SpacedockError('directory-unusable', `No directory can be made at ${path}.`, {
    hint: 'Choose a place on a disk of yours.',
    option: 'dataDir',
  })
}
