import type { Joining, PairingOrder } from '../pairing-order.ts'
import { Program } from '../program.ts'
import { quantile } from '../statistics.ts'
import type { Job } from './job.ts'

/**
 * From the call of `join` until both sides know: two processes that are up and have paired before, the joining side each time a
 * new device. Spacedock is given an address, blind-pairing finds it in its DHT.
 */
export const pairing: Job = {
  rows: ['pairing'],
  subjects: ['blind-pairing', 'spacedock-library'],
  run: async (subject, setting) => {
    const file = subject === 'blind-pairing' ? 'swarm-device.ts' : 'device.ts'
    const shower = await Program.start<PairingOrder>(file, [], setting)
    const joiner = await Program.start<PairingOrder>(file, [], setting)
    try {
      const network = await shower.order<string>({ do: 'start' })
      const times: number[] = []
      for (let number = 0; number <= setting.sizes.pairings; number++) {
        await joiner.order({ do: 'start', network })
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
