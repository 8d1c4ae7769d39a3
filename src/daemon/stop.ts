import { readFileSync } from 'node:fs'
import { callDaemon } from './client.ts'

const reapDeadlineMs = 1000

/**
 * Asks the daemon to stop and waits until its process is gone. Its connection stays open to the end of the process;
 * after that there is only the moment until the system has taken it out of its table. `log`: the file that it leaves,
 * null for none. Rejects `no-daemon`, `timed-out`.
 */
export async function stopDaemon(
  dataDir: string,
  options: { signal?: AbortSignal } = {},
): Promise<{ pid: number; log: string | null }> {
  const { pid, log = null } = await callDaemon(dataDir, 'down', {}, { ...options, untilClosed: true })
  const deadline = performance.now() + reapDeadlineMs
  while (exists(pid) && performance.now() < deadline)
    await new Promise((resume) => void setTimeout(resume, 5))
  return { pid, log }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return !isWaitingToBeCollected(pid)
}

/**
 * Whether the process has ended uncollected: in containers whose first process does not collect ended ones, their numbers stay in
 * the table for good.
 */
function isWaitingToBeCollected(pid: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    return /^State:\s*Z/mu.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true // the process went in between
  }
}
