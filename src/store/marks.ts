import { randomBytes } from 'node:crypto'
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { syncDirectory } from './data-directory.ts'
import { toStorageError } from './storage-error.ts'

/** Name that a data directory has beside its database, which knows it: another one at each opening and closing. */
export interface Marks {
  /** All that are there: one, unless somebody copied files into the directory, or took some away. */
  list(): string[]
  /** Puts this one in the place of all that are there: in one step when that is one or none. */
  replaceBy(mark: string): void
}

/** Marks as empty files `mark-…`. */
export class MarkFiles implements Marks {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  list(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => fileName.test(name))
    } catch (error) {
      throw toStorageError(error, this.#directory)
    }
  }

  replaceBy(mark: string): void {
    const [first, ...others] = this.list()
    for (const each of others) rmSync(this.#pathOf(each))
    if (first === undefined) writeFileSync(this.#pathOf(mark), '', { flag: 'wx', mode: 0o600 })
    else renameSync(this.#pathOf(first), this.#pathOf(mark))
    // The database remembers one before the last: no more than one may be lost by a power cut.
    syncDirectory(this.#directory)
  }

  #pathOf(mark: string): string {
    return join(this.#directory, mark)
  }
}

export function newMark(): string {
  return `mark-${randomBytes(8).toString('hex')}`
}

const fileName = /^mark-[\da-f]{16}$/
