import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export const whyNoMount = ((): string | false => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'NOT TESTED: mounting a small disk needs root on Linux'
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return false
  } catch {
    return 'NOT TESTED: this machine does not let root mount a small disk'
  }
})()

/** A file system of its own, so small that it can be filled. */
export function smallDisk(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-small-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k,mode=0700', 'tmpfs', directory])
  context.after(() => {
    execFileSync('umount', ['--lazy', directory])
    rmdirSync(directory)
  })
  return directory
}

/** Writes a file that leaves this many bytes, and no more. */
export function fill(directory: string, except: number): void {
  const file = join(directory, 'filler')
  for (let size = 512 * 1024; size >= 4_096; size -= 4_096) {
    try {
      writeFileSync(file, new Uint8Array(size))
      writeFileSync(file, new Uint8Array(Math.max(0, size - except)))
      return
    } catch {
      rmSync(file, { force: true })
    }
  }
}
