import type { Connection } from '@libp2p/interface'
import { startDeadline } from './deadline.ts'
import type { Clock } from '../api.ts'
/** Every libp2p program agrees upon it or declines it, and either is an answer. */
const pingProtocol = '/ipfs/ping/1.0.0'

/** Whether anybody is at the other end. A connection that is not open any more, or is called off, is no answer. */
export async function answers(
  connection: Connection,
  { timeoutMs, signal, clock }: { timeoutMs: number; signal?: AbortSignal; clock: Clock },
): Promise<boolean> {
  const deadline = startDeadline(timeoutMs, () => new Error('no answer'), { signal, clock })
  try {
    const stream = await connection.newStream(pingProtocol, {
      signal: deadline.signal,
      runOnLimitedConnection: true,
    })
    stream.abort(new Error('that was all'))
    return true
  } catch {
    return !deadline.signal.aborted && connection.status === 'open'
  } finally {
    deadline.stop()
  }
}
