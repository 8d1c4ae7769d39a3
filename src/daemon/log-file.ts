import {
  closeSync,
  copyFileSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

export function logPath(dataDir: string): string {
  return join(dataDir, 'daemon.log')
}

/** Opens the log for appending, as the standard error of a daemon in the background. The caller closes it. */
export function openLogFile(dataDir: string): number {
  return openSync(logPath(dataDir), 'a', 0o600)
}

/** Whether writes to this descriptor arrive in this file. */
export function leadsTo(descriptor: number, path: string): boolean {
  try {
    return isSame(fstatSync(descriptor, { bigint: true }), statSync(path, { bigint: true }))
  } catch {
    return false
  }
}

export interface LogFileLimits {
  /** Size beyond which a log is moved to `daemon.log.1`, the one before to `daemon.log.2` ... @default 2 MiB */
  largestBytes?: number
  /** Number of them that are kept. @default 3 */
  oldFiles?: number
}

/**
 * A log that can be written to for years: it never throws, is of bounded size, and is made anew when somebody has removed
 * it. Lines that could not be written, because the disk was full, are counted, and their number is written once that is
 * possible again.
 *
 * It is copied and emptied instead of renamed, because what Node itself prints when it dies goes to the same file by
 * another descriptor, and must stay where people look.
 */
export class LogFile {
  readonly #path: string
  readonly #largestBytes: number
  readonly #oldFiles: number
  #descriptor: number | null = null
  #lostLines = 0
  /** Whether the last line broke off in its middle. */
  #isTorn = false

  constructor(path: string, { largestBytes = 2 * 1024 * 1024, oldFiles = 3 }: LogFileLimits = {}) {
    this.#path = path
    this.#largestBytes = largestBytes
    this.#oldFiles = oldFiles
  }

  write(line: string): void {
    try {
      const descriptor = this.#open()
      const bytes = Buffer.from(`${this.#isTorn ? '\n' : ''}${this.#lossLine()}${line}`)
      this.#makeRoom(descriptor, bytes.length)
      this.#append(descriptor, bytes)
      this.#lostLines = 0
      this.#isTorn = false
    } catch {
      this.#lostLines++
    }
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
  }

  #open(): number {
    const there = statSync(this.#path, { bigint: true, throwIfNoEntry: false })
    if (this.#descriptor !== null) {
      if (there !== undefined && isSame(there, fstatSync(this.#descriptor, { bigint: true })))
        return this.#descriptor
      this.close()
      this.#isTorn = false
    }
    const descriptor = openSync(this.#path, 'a', 0o600)
    this.#descriptor = descriptor
    const found = fstatSync(descriptor)
    if (found.isFile() && (found.mode & 0o077) !== 0) fchmodSync(descriptor, 0o600)
    return descriptor
  }

  #makeRoom(descriptor: number, neededBytes: number): void {
    const { size } = fstatSync(descriptor)
    if (size === 0 || size + neededBytes <= this.#largestBytes) return
    try {
      this.#shift()
    } catch {
      // A full disk may pass; but better no old log than one without bounds.
      if (size + neededBytes <= 2 * this.#largestBytes) return
    }
    ftruncateSync(descriptor)
    this.#isTorn = false
  }

  #shift(): void {
    for (let number = this.#oldFiles - 1; number >= 1; number--) {
      if (statSync(this.#old(number), { throwIfNoEntry: false }) !== undefined)
        renameSync(this.#old(number), this.#old(number + 1))
    }
    copyFileSync(this.#path, this.#old(1)) // copies the mode too
  }

  #append(descriptor: number, bytes: Uint8Array): void {
    let written = 0
    try {
      while (written < bytes.length) written += writeSync(descriptor, bytes, written)
    } catch (error) {
      this.#isTorn ||= written > 0
      throw error
    }
  }

  #lossLine(): string {
    if (this.#lostLines === 0) return ''
    const time = new Date().toISOString()
    return `${JSON.stringify({ time, level: 'warn', event: 'log.lines-lost', lines: this.#lostLines })}\n`
  }

  #old(number: number): string {
    return `${this.#path}.${number}`
  }
}

interface FileIdentity {
  dev: bigint
  ino: bigint
}

function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return one.dev === other.dev && one.ino === other.ino
}
