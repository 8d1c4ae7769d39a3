import type { Order } from './end.ts'
import type { Setting } from './jobs/job.ts'
import { Program, type Place } from './program.ts'

export interface PairOfEnds extends AsyncDisposable {
  server: Program<Order>
  client: Program<Order>
}

/** Starts both ends of a subject in processes of their own, and connects them. */
export async function pairOfEnds(
  subject: string,
  setting: Setting,
  places: { server: Place; client: Place } | null = null,
): Promise<PairOfEnds> {
  const started: Program<Order>[] = []
  const stop = async (): Promise<void> => {
    for (const program of started) await program.stop()
  }
  const start = async (place: Place | null = null): Promise<Program<Order>> => {
    const program = await Program.start<Order>('end.ts', [subject], setting, place)
    started.unshift(program)
    return program
  }
  try {
    const server = await start(places?.server)
    const address = await server.order<string>({ do: 'serve' })
    const client = await start(places?.client)
    await client.order({ do: 'connect', address })
    return { server, client, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}
