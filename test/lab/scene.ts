import assert from 'node:assert/strict'
import { test } from 'node:test'
import { device, type DeviceOptions, type TestDevice } from '../device.ts'
import { createLab, type Host, type Lab, type Lan } from './lab.ts'
import { whyNoLab } from './requirements.ts'

/** What a scene plays on. */
export interface Stage {
  lab: Lab
  /** A device on a host of its own, of the same name, plugged into these LANs. Its daemon is not started. */
  device: (name: string, lans: readonly Lan[], options?: Partial<DeviceOptions>) => Promise<Actor>
  /** For the table at the end of a run: what happened, and how long it took. */
  saw: (text: string) => void
}

export interface Actor {
  host: Host
  device: TestDevice
}

export interface SceneOptions {
  /** @default 300_000: it is for what hangs */
  timeoutMs?: number
  /** Whether it asks for cables with delay, rate or loss. @default false */
  cables?: boolean
  /** Why what else it asks for cannot be had here, in one sentence; false when it can. */
  obstacle?: () => Promise<string | false>
}

/** One story with real daemons, each in a network namespace. All it started ends with it. */
export function scene(
  title: string,
  play: (stage: Stage) => Promise<void>,
  options: SceneOptions = {},
): void {
  const { timeoutMs = 300_000, cables = false } = options
  const findObstacle = options.obstacle ?? (async () => false as const)
  test(title, { timeout: timeoutMs }, async (context) => {
    const obstacle = (await whyNoLab({ cables })) || (await findObstacle())
    if (obstacle !== false) return context.skip(obstacle)
    const lab = await createLab()
    const devices: TestDevice[] = []
    try {
      await play({
        lab,
        async device(name, lans, deviceOptions = {}) {
          const host = await lab.host(name, lans)
          const made = await device(host, { name, ...deviceOptions })
          devices.push(made)
          return { host, device: made }
        },
        saw: (text) => {
          context.diagnostic(text)
        },
      })
      for (const { name, log } of devices) {
        assert.ok(!log.includes('"level":"error"'), `${name} has met an error`)
      }
    } catch (error) {
      for (const { name, log } of devices) console.error(`--- ${name}'s log\n${log.slice(-6_000)}`)
      throw error
    } finally {
      await Promise.allSettled(devices.map((each) => each.close()))
      await lab.close()
    }
  })
}

/** Runs something and says how long it took, in seconds, for the eyes only. */
export async function timed<T>(work: () => Promise<T>): Promise<{ result: T; took: string }> {
  const startedAt = performance.now()
  const result = await work()
  return { result, took: seconds(performance.now() - startedAt) }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
