import { randomBytes } from 'node:crypto'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Space of the disk that is kept for what must be written when there is no other. */
export interface Reserve {
  /** Gives it back to the disk. */
  release(): void
  /** Takes it again, if there is space. */
  refill(): void
}

/** The file `reserve` in the data directory, made when there is space for it. */
export function openReserve(dataDir: string): Reserve {
  const path = join(dataDir, 'reserve')
  const refill = (): void => {
    try {
      if (statSync(path, { throwIfNoEntry: false })?.size === reserveBytes) return
      rmSync(path, { force: true })
      // Random: some file systems keep no space for zeros.
      writeFileSync(path, randomBytes(reserveBytes), { flag: 'wx', mode: 0o600, flush: true })
    } catch {
      // There is no space: a part of it would be worth little.
      release()
    }
  }
  const release = (): void => {
    try {
      rmSync(path, { force: true })
    } catch {
      // The disk is read-only: the write that this is for fails, too, and says so.
    }
  }
  refill()
  return {
    refill,
    release,
  }
}

/** For a store that is not on a disk. */
export const noReserve: Reserve = { release: () => {}, refill: () => {} }

/** Size of a few changed pages of the database, of its index in memory, and of a new identity file. */
const reserveBytes = 128 * 1024
