import { test } from 'node:test'
import { device, localPlace, type TestDevice } from '../device.ts'
import { ForeignDevice, type ForeignOptions } from './foreign-device.ts'
import type { ForeignProgram } from './foreign-program.ts'

/** Where a scenario plays: devices on the loopback interface, all gone when it is over. */
export interface Stage {
  /** A daemon of ours, started; it neither announces itself nor looks for others. */
  ours: (name: string, args?: readonly string[]) => Promise<TestDevice>
  /** A device of the foreign program. */
  theirs: (name: string, options?: Partial<ForeignOptions>) => Promise<ForeignDevice>
  /** What the table says about it. */
  saw: (text: string) => void
}

export type Scenario = (title: string, play: (stage: Stage) => Promise<void>) => void

/** Scenarios of one program, which their titles call "theirs". */
export function scenariosOf(name: string, program: ForeignProgram | string): Scenario {
  return (title, play) => {
    const skip = typeof program === 'string' ? program : false
    test(title.replace(/theirs/iu, name), { skip, timeout: 120_000 }, async (context) => {
      if (typeof program === 'string') return
      const place = localPlace()
      const closing: { close: () => Promise<void>; name: string; log: string }[] = []
      try {
        await play({
          async ours(deviceName, args = []) {
            const made = await device(place, { name: deviceName, args: ['--mdns', 'off', ...args] })
            closing.push(made)
            await made.up()
            return made
          },
          async theirs(deviceName, options = {}) {
            const made = await ForeignDevice.start(program, place, { name: deviceName, ...options })
            closing.push(made)
            return made
          },
          saw: (text) => {
            context.diagnostic(text)
          },
        })
      } catch (error) {
        for (const each of closing) console.error(`--- ${each.name}'s log\n${each.log.slice(-6_000)}`)
        throw error
      } finally {
        await Promise.allSettled(closing.map((each) => each.close()))
      }
    })
  }
}

/** Runs something and says how long it took. */
export async function timed<T>(work: () => Promise<T>): Promise<{ result: T; took: string }> {
  const startedAt = performance.now()
  const result = await work()
  return { result, took: `${((performance.now() - startedAt) / 1000).toFixed(1)} s` }
}
