import { pairOfEnds } from '../pair-of-ends.ts'
import type { Job } from './job.ts'

const inFlight = 64

/** Small messages, in one connection. */
export const messages: Job = {
  rows: ['round-trip-32', 'in-flight-32', 'in-flight-1024'],
  subjects: ['raw-tcp', 'node-tls', 'libp2p', 'hyperdht', 'iroh', 'spacedock-stream', 'spacedock-request'],
  run: async (subject, setting) => {
    const { seconds } = setting.sizes
    await using ends = await pairOfEnds(subject, setting)
    const { client } = ends
    return {
      'round-trip-32': await client.order<number>({ do: 'round-trips', bytes: 32, seconds }),
      'in-flight-32': await client.order<number>({ do: 'in-flight', bytes: 32, seconds, count: inFlight }),
      'in-flight-1024': await client.order<number>({
        do: 'in-flight',
        bytes: 1_024,
        seconds,
        count: inFlight,
      }),
    }
  },
}
