import type { Order } from './end.ts'
import type { Setting } from './jobs/job.ts'
import { Program } from './program.ts'

export interface PairOfEnds extends AsyncDisposable {
  server: Program<Order>
  client: Program<Order>
}

/** Starts both ends of a subject in processes of their own, and connects them. */
export async function pairOfEnds(subject: string, setting: Setting): Promise<PairOfEnds> {
  const started: Program<Order>[] = []
  const stop = async (): Promise<void> => {
    for (const program of started) await program.stop()
  }
  const start = async (): Promise<Program<Order>> => {
    const program = await Program.start<Order>('end.ts', [subject], setting)
    started.unshift(program)
    return program
  }
  try {
    const server = await start()
    const address = await server.order<string>({ do: 'serve' })
    const client = await start()
    await client.order({ do: 'connect', address })
    return { server, client, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}
