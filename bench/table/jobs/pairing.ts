import type { DeviceOrder, Joining } from '../device.ts'
import { Program } from '../program.ts'
import { quantile } from '../statistics.ts'
import type { Job } from './job.ts'

/**
 * From the call of `join` until both sides know: two processes that are up and have paired before, the joining side each time a
 * new device, an address given. Neither is asked to compare digits.
 */
export const pairing: Job = {
  rows: ['pairing'],
  subjects: ['spacedock-library'],
  run: async (_subject, { checkout, sizes }) => {
    const shower = await Program.start<DeviceOrder>('device.ts', [], checkout)
    const joiner = await Program.start<DeviceOrder>('device.ts', [], checkout)
    try {
      await shower.order({ do: 'start' })
      const times: number[] = []
      for (let number = 0; number <= sizes.pairings; number++) {
        await joiner.order({ do: 'start' })
        const address = await shower.order<string>({ do: 'invite' })
        const { startedMs, endedMs } = await joiner.order<Joining>({ do: 'join', address })
        const pairedMs = await shower.order<number>({ do: 'paired' })
        // The first one compiles code.
        if (number > 0) times.push(Math.max(endedMs, pairedMs) - startedMs)
      }
      return { pairing: quantile(times, 0.5) }
    } finally {
      await joiner.stop()
      await shower.stop()
    }
  },
}
