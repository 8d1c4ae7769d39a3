import { readFileSync } from 'node:fs'

/** What the loopback interface of a process's network has carried, each packet once, from /proc/net/dev (proc(5)). Linux. */
export function loopbackTraffic(pid: number): { bytes: number; packets: number } {
  const received = /^\s*lo:\s*(\d+)\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/net/dev`, 'utf8'))
  return { bytes: Number(received?.[1]), packets: Number(received?.[2]) }
}
