import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** Lines of a shell that mount ext4 from the file "$1" in the directory "$2". */
export const mountExt4 = 'truncate --size 4M "$1"; mkfs.ext4 -q "$1"; mount -o loop "$1" "$2"; chmod 700 "$2"'
/** Line that makes it read-only although files on it are open: what the kernel does with a disk that reports errors. */
export const failExt4 = 'mount -o remount,abort "$2"'

/** Why this machine has no disk that fails: a sentence, or false when it has. */
export const whyNoFailingDisk = ((): string | false => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'mounting a disk that fails needs root on Linux'
  const { image, directory, parent } = places()
  try {
    execFileSync('unshare', ['--mount', 'sh', '-ec', mountExt4, 'sh', image, directory], { stdio: 'ignore' })
    return false
  } catch {
    return 'this machine does not let root mount ext4 on a file'
  } finally {
    rmSync(parent, { recursive: true })
  }
})()

/** A directory on a disk of its own that can fail. */
export function failingDisk(context: TestContext): { directory: string; fail: () => void } {
  const { image, directory, parent } = places()
  const run = (script: string): unknown => execFileSync('sh', ['-ec', script, 'sh', image, directory])
  run(mountExt4)
  context.after(() => {
    run('umount --lazy "$2"')
    rmSync(parent, { recursive: true })
  })
  return { directory: join(directory, 'data'), fail: () => run(failExt4) }
}

function places(): { parent: string; image: string; directory: string } {
  const parent = mkdtempSync(join(tmpdir(), 'spacedock-failing-disk-'))
  const directory = join(parent, 'mounted')
  mkdirSync(directory)
  return { parent, image: join(parent, 'image'), directory }
}
