import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../errors.ts'
import type { AttemptSignals } from './attempt-schedule.ts'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import { dialFailure } from './failures.ts'
import type { Session } from '../session/session.ts'
import type { Clock } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
export interface AttemptMeans {
  /** Addresses at which a device may be reached; empty when nothing is known. */
  addressesOf: (peerId: PeerId) => readonly Multiaddr[] | Promise<readonly Multiaddr[]>
  /** Dials. May return a connection that is already open, unless it is to be a new one. */
  dial: (
    peerId: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal; anew: boolean },
  ) => Promise<Connection>
  openSession: (connection: Connection, options: { signal: AbortSignal }) => Promise<Session>
  /** Open connections to a peer. */
  connectionsTo: (peerId: PeerId) => readonly Connection[]
}

/**
 * Tries once to reach a device: dials it and opens a session. Undefined when the session was not needed any more once the
 * connection was up. Rejects with a SpacedockError whose message tells a person why: `offline`, `no-network`, `timed-out`,
 * `cancelled` when the dial is to start over, or what `openSession` rejects with.
 */
export async function attemptConnection(
  peerId: PeerId,
  { signal, dialSignal }: AttemptSignals,
  options: AttemptMeans & { clock: Clock; isNeeded: () => boolean; anew: boolean },
): Promise<Session | undefined> {
  const { addressesOf, dial, openSession, connectionsTo, clock, isNeeded, anew } = options
  const dialling = startDeadline(dialTimeoutMs, timedOut, { signal: dialSignal, clock })
  let connection: Connection
  let addressCount = 0
  try {
    const addresses = await untilAborted(Promise.resolve(addressesOf(peerId)), dialling.signal)
    addressCount = addresses.length
    if (addresses.length === 0 && (anew || connectionsTo(peerId).length === 0)) {
      throw new SpacedockError('offline', 'No address of the device is known.')
    }
    const { signal: dialled } = dialling
    connection = await untilAborted(dial(peerId, addresses, { signal: dialled, anew }), dialled)
  } catch (error) {
    throw dialFailure(error, addressCount)
  } finally {
    dialling.stop()
  }
  if (!isNeeded()) return undefined
  try {
    // The hello has a deadline of its own.
    return await openSession(connection, { signal })
  } catch (error) {
    // libp2p would hand out a dead connection again at the next dial.
    if (error instanceof SpacedockError && error.code === 'timed-out') connection.abort(error)
    throw error
  }
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The device did not answer in time.')
}

const dialTimeoutMs = 15_000
