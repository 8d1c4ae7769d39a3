import type { Usage } from '../end.ts'
import { pairOfEnds } from '../pair-of-ends.ts'
import { copyByScp } from '../scp.ts'
import type { Job } from './job.ts'

/** Many bytes one way, in processes that do nothing else: what they take is theirs. */
export const bulk: Job = {
  rows: ['bulk', 'cpu-sender', 'cpu-receiver', 'memory-sender', 'memory-receiver'],
  subjects: ['raw-tcp', 'node-tls', 'libp2p', 'hyperdht', 'iroh', 'scp', 'spacedock-stream'],
  run: async (subject, setting) => {
    if (subject === 'scp') return { bulk: await copyByScp(setting.sizes.bulkBytes, setting) }
    // Its binding for Node is slow: the rate is the same with less.
    const bulkBytes = setting.sizes.bulkBytes / (subject === 'iroh' ? 16 : 1)
    await using ends = await pairOfEnds(subject, setting)
    const { client, server } = ends
    const usage = async (): Promise<Usage[]> => [
      await client.order<Usage>({ do: 'usage' }),
      await server.order<Usage>({ do: 'usage' }),
    ]
    // Code is compiled and windows have grown by then.
    await client.order({ do: 'pour', bytes: bulkBytes / 8 })
    const before = await usage()
    const rate = await client.order<number>({ do: 'pour', bytes: bulkBytes })
    const after = await usage()
    const cpu = (end: number): number =>
      (((after[end]?.cpuSeconds ?? 0) - (before[end]?.cpuSeconds ?? 0)) * 2 ** 30) / bulkBytes
    return {
      bulk: rate,
      'cpu-sender': cpu(0),
      'cpu-receiver': cpu(1),
      'memory-sender': after[0]?.peakMemoryMib ?? Number.NaN,
      'memory-receiver': after[1]?.peakMemoryMib ?? Number.NaN,
    }
  },
}
