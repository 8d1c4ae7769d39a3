import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const prefix = 'spacedock-bench-'

/**
 * Makes the folder in which all that this run and its programs make lies: it is their folder for temporary files from here on, and
 * goes with this process. What a killed run has left goes now.
 */
export function openRunFolder(): string {
  const temporary = tmpdir()
  for (const folder of leftovers(temporary)) {
    endProcessesOf(folder)
    remove(folder)
  }
  const folder = mkdtempSync(join(temporary, `${prefix}${process.pid}-`))
  process.env['TMPDIR'] = folder
  process.once('exit', () => remove(folder))
  return folder
}

/** Folders of runs whose process is gone. One whose process id another process has got since stays until that one is gone, too. */
export function leftovers(temporary: string): string[] {
  return readdirSync(temporary)
    .filter((name) => {
      const owner = new RegExp(`^${prefix}(\\d+)-`, 'u').exec(name)?.[1]
      return owner !== undefined && !isAlive(Number(owner))
    })
    .map((name) => join(temporary, name))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A daemon outlives whoever started it; its data directory is in its command line. */
function endProcessesOf(folder: string): void {
  const all = execFileSync('ps', ['-axo', 'pid=,args='], { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 })
  for (const line of all.split('\n')) {
    if (!line.includes(`${folder}/`)) continue
    try {
      process.kill(Number.parseInt(line, 10), 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}
