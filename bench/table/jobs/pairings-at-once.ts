import type { CrowdOrder } from '../crowd.ts'
import type { HubOrder, HubUsage } from '../hub.ts'
import { Program } from '../program.ts'
import type { Job, Sizes } from './job.ts'

/** As many codes as one device has at a time. */
const mostCodes = 32
/** Processes of the other side. */
const processes = 2

/** One device and many others, all of which pair at the same moment: it joins all, or all use codes that it shows. */
export function pairingsAtOnce({ pairingsAtOnce: count }: Sizes): Job {
  const codes = Math.min(count, mostCodes)
  return {
    rows: ['pairings-at-once', 'pairings-memory'],
    subjects: [`spacedock-${count}-joins`, `spacedock-${codes}-codes`],
    run: async (subject, setting) => {
      const isJoining = subject.endsWith('-joins')
      const each = Math.ceil((isJoining ? count : codes) / processes)
      const hub = await Program.start<HubOrder>('hub.ts', [], setting)
      const crowds: Program<CrowdOrder>[] = []
      try {
        await hub.order({ do: 'start' })
        for (let number = 0; number < processes; number++) {
          crowds.push(await Program.start<CrowdOrder>('crowd.ts', [], setting))
          await crowds.at(-1)?.order({ do: 'grow', count: each })
        }
        const tookMs = await (isJoining ? joining(hub, crowds) : showing(hub, crowds, each))
        const { peakMemoryMib } = await hub.order<HubUsage>({ do: 'usage' })
        return { 'pairings-at-once': tookMs / (each * processes), 'pairings-memory': peakMemoryMib }
      } finally {
        for (const program of [...crowds, hub]) await program.stop()
      }
    },
  }
}

async function joining(hub: Program<HubOrder>, crowds: readonly Program<CrowdOrder>[]): Promise<number> {
  const codes = await Promise.all(crowds.map((crowd) => crowd.order<string[]>({ do: 'invite' })))
  const addresses = codes.flat()
  return hub.order<number>({ do: 'join', addresses, atOnce: addresses.length })
}

async function showing(
  hub: Program<HubOrder>,
  crowds: readonly Program<CrowdOrder>[],
  each: number,
): Promise<number> {
  const codes = await hub.order<string[]>({ do: 'invite', count: each * crowds.length })
  const startedAt = performance.now()
  await Promise.all(
    crowds.map((crowd, number) =>
      crowd.order({ do: 'join', addresses: codes.slice(number * each, (number + 1) * each) }),
    ),
  )
  return performance.now() - startedAt
}
