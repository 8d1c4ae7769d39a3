import type { Connection, Stream } from '@libp2p/interface'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import type { Clock } from '../../api.ts'
/** Protocol that every libp2p program accepts or declines, and either is an answer. */
const pingProtocol = '/ipfs/ping/1.0.0'
const pingBytes = 32

/**
 * Whether the peer of a connection answers. A connection that is not open any more, or a check that is called off, counts as no.
 */
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
    // An open stream proves nothing: lazy negotiation does not wait for the other side.
    const answered = firstSign(stream)
    stream.send(new Uint8Array(pingBytes))
    await untilAborted(answered, deadline.signal).finally(() => stream.abort(new Error('that was all')))
    return connection.status === 'open'
  } catch {
    return !deadline.signal.aborted && connection.status === 'open'
  } finally {
    deadline.stop()
  }
}

/** Resolves at the echo, or at the end of a stream that the other side refused. */
function firstSign(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    for (const type of ['message', 'close'] as const) {
      stream.addEventListener(type, () => resolve(), { once: true })
    }
  })
}
