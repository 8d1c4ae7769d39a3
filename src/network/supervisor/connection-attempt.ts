import type { Multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../errors.ts'
import type { AttemptSignals } from './attempt-plan.ts'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import { dialFailure } from './failures.ts'
import type { Session } from '../session/session.ts'
import type { Clock } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { isTls, type SessionConnection } from '../transport/tls-connection.ts'

/** Host as far as an attempt needs one. */
export interface DialingHost {
  /** Open connections to a peer. */
  connectionsTo(peer: PeerId): readonly SessionConnection[]
  /** Returns an open connection, or dials one. */
  connect(
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ): Promise<SessionConnection>
  /** Dials a new connection. */
  dial(
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ): Promise<SessionConnection>
}

/** Opener of sessions over connections. */
export interface SessionOpener {
  open(connection: SessionConnection, options: { signal: AbortSignal }): Promise<Session>
}

/** Device as far as an attempt to reach it knows it. */
export interface AttemptedPeer {
  readonly id: PeerId
  /** Whether a session is still of use. */
  readonly lacksSession: boolean
  /** Addresses at which it may be reached; empty when nothing is known. */
  addresses(): readonly Multiaddr[]
}

export interface AttemptParts {
  host: DialingHost
  opener: SessionOpener
  clock: Clock
}

/**
 * Tries once to reach a device: dials it, `anew` or over a connection that is open, and opens a session. Undefined when the
 * session was not needed any more once the connection was up. Rejects with a SpacedockError whose message tells a person why:
 * `offline`, `no-network`, `timed-out`, `cancelled` when the dial is to start over, or what the opener rejects with.
 */
export async function attemptConnection(
  peer: AttemptedPeer,
  { signal, dialSignal, anew }: AttemptSignals & { anew: boolean },
  { host, opener, clock }: AttemptParts,
): Promise<Session | undefined> {
  const dialling = startDeadline(dialTimeoutMs, timedOut, { signal: dialSignal, clock })
  let connection: SessionConnection
  let addressCount = 0
  try {
    const addresses = peer.addresses()
    addressCount = addresses.length
    if (addresses.length === 0 && (anew || host.connectionsTo(peer.id).length === 0)) {
      throw new SpacedockError('offline', 'No address of the device is known.')
    }
    const dial = anew ? host.dial(peer.id, addresses, dialling) : host.connect(peer.id, addresses, dialling)
    connection = await untilAborted(dial, dialling.signal)
  } catch (error) {
    throw dialFailure(error, addressCount)
  } finally {
    dialling.stop()
  }
  if (!peer.lacksSession) {
    if (isTls(connection)) await connection.close()
    return undefined
  }
  try {
    // The hello has a deadline of its own.
    return await opener.open(connection, { signal })
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
