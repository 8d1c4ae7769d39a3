import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Memory of a process now, in MiB, its own and what it shares. */
export function residentMib(pid: number): number {
  if (process.platform === 'linux') return statusMib(pid, 'VmRSS')
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024
}

/** The most of it that this process has had. `maxRSS` of Linux counts what the parent had, too. */
export function peakMemoryMib(): number {
  if (process.platform === 'linux') return statusMib(process.pid, 'VmHWM')
  return process.resourceUsage().maxRSS / 1024
}

function statusMib(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'mu').exec(status)?.[1]) / 1024
}
