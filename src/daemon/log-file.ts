import { copyFileSync, openSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

/** A log that reaches this size is moved to `daemon.log.old`, which replaces the one before. */
const largestLogBytes = 2 * 1024 * 1024

export function logPath(dataDir: string): string {
  return join(dataDir, 'daemon.log')
}

/** Opens the log for appending, as the standard error of a daemon in the background. The caller closes it. */
export function openLogFile(dataDir: string): number {
  return openSync(logPath(dataDir), 'a', 0o600)
}

/**
 * Call after each line. Copies and empties the file instead of renaming it, because what Node itself prints when it
 * dies goes to the same descriptor and must stay in the file that people look at.
 */
export function rotateLogFile(dataDir: string, largestBytes: number = largestLogBytes): void {
  const path = logPath(dataDir)
  try {
    if (statSync(path).size < largestBytes) return
    const old = `${path}.old`
    copyFileSync(path, old) // with its mode
    truncateSync(path)
  } catch {
    // A log that cannot be rotated must not stop the daemon; the next line tries again.
  }
}
