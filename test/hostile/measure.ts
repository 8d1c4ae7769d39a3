import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { TestDevice } from '../device.ts'

/** What a process has used so far. */
export interface Usage {
  cpuSeconds: number
  residentMiB: number
}

/** Usage of a process of this machine, in whatever namespace it is. */
export function usageOf(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // proc(5): fields 14 and 15, in hundredths of a second; field 2 may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    residentMiB: Math.round(Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1]) / 1_024),
  }
}

/** Usage of a device's daemon. */
export async function usageOfDaemon(device: TestDevice): Promise<Usage> {
  const { pid } = await device.status()
  assert.ok(pid !== undefined)
  return usageOf(pid)
}

/**
 * For processes whose memory is looked at: they collect garbage when they are told to, so that what is seen is what they hold, and not
 * what the collector has left for later.
 */
export const collectsGarbage = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`
    import { setFlagsFromString } from 'node:v8'
    import { runInNewContext } from 'node:vm'
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc')
    process.on('SIGUSR2', () => collect())`)}`,
}

/**
 * Memory of a process after a flood: looked at until it is no more than this, half a minute at most. The process has
 * `collectsGarbage`.
 */
export async function residentMiBAfter(pid: number, mostMiB: number): Promise<number> {
  const giveUpAt = performance.now() + 30_000
  for (;;) {
    process.kill(pid, 'SIGUSR2')
    await wait(1_000)
    const { residentMiB } = usageOf(pid)
    if (residentMiB <= mostMiB || performance.now() >= giveUpAt) return residentMiB
  }
}

/** Time of a join by another device, from the command to its end; infinite when it fails. */
export async function joinMs(
  initiator: TestDevice,
  joiner: TestDevice,
  args: readonly string[] = [],
): Promise<number> {
  const pairing = initiator.spawnCli(['pair', '--yes'])
  const { words } = await pairing.waitForEvent('code', { deadlineMs: 60_000 })
  const startedAt = performance.now()
  const joined = await joiner.cli(['join', '-', '--yes', ...args], {
    input: `${words}\n`,
    deadlineMs: 120_000,
  })
  const tookMs = performance.now() - startedAt
  if (joined.code !== 0) return Infinity
  await pairing.waitForEvent('paired', { deadlineMs: 60_000 })
  await pairing.finished(60_000)
  return tookMs
}

/** Round trips to a connected device, in milliseconds. */
export async function pingMs(from: TestDevice, to: TestDevice, count = 5): Promise<number[]> {
  const trips: number[] = []
  for (let trip = 0; trip < count; trip++) {
    const { code, lines, stderr } = await from.cli(['ping', to.name], { deadlineMs: 60_000 })
    assert.equal(code, 0, stderr)
    trips.push(Number((lines.at(-1) as { roundTripMs?: number } | undefined)?.roundTripMs))
  }
  return trips
}

export function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN
}
