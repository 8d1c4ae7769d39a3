import type { Connection, Stream } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { startDeadline } from '../deadline.ts'
import { FramedStream, type CountBytes } from './framed-stream.ts'
import { LiveSession } from './live-session.ts'
import type { Session } from './session-contract.ts'
import { greetAsDialer, greetAsListener } from './session-handshake.ts'
import type { SessionTrust } from './session-trust.ts'
import type { CallHandler } from './call.ts'
import type { Clock, Log } from '../../api.ts'
import { systemClock } from '../../clock.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../libp2p-peer.ts'

/** Version of the frames; the hello carries its own. */
export const sessionVersion = 1
export const sessionProtocol = `/spacedock/session/${sessionVersion}.0.0`

export type { Session, SessionEnd, Sessions } from './session-contract.ts'

export interface SessionOptions {
  localPeer: PeerId
  /** Instance: 16 random bytes made once at process start. */
  instance: Uint8Array
  trust: SessionTrust
  /** Handler of the other side's calls. */
  calls: CallHandler
  /** Called with the number of all bytes that pass. */
  countBytes?: CountBytes
  /** Source of randomness: 32 bytes when asked for 32. @default node:crypto */
  random?: (length: number) => Uint8Array
  /** Called at every answer to a ping with the smoothed round trip of this connection, in milliseconds. */
  onRoundTrip?: (connection: Connection, roundTripMs: number) => void
  clock?: Clock
  log?: Log
  /** Aborts the opening; has no effect on the session once it is open. */
  signal?: AbortSignal
}

/**
 * Opens a session over a connection. Rejects with `not-paired` when the device at the other end says that it does not
 * know this one, or has revoked it, `timed-out` after five seconds, `interrupted`, `invalid-message`, or the signal's reason.
 */
export async function openSession(connection: Connection, options: SessionOptions): Promise<Session> {
  const deadline = startDeadline(helloTimeoutMs, timedOut, options)
  try {
    // Relayed connections carry sessions too, hence runOnLimitedConnection.
    const stream = await connection.newStream(sessionProtocol, {
      runOnLimitedConnection: true,
      signal: deadline.signal,
    })
    return await startSession('local', stream, connection, options, deadline.signal)
  } catch (error) {
    deadline.signal.throwIfAborted()
    if (error instanceof SpacedockError) throw error
    throw new SpacedockError('interrupted', 'The session could not be opened.', { cause: error })
  } finally {
    deadline.stop()
  }
}

/** Accepts the other side's `openSession`; the caller has checked that the peer is paired. */
export async function acceptSession(
  stream: Stream,
  connection: Connection,
  options: SessionOptions,
): Promise<Session> {
  const deadline = startDeadline(helloTimeoutMs, timedOut, options)
  try {
    return await startSession('remote', stream, connection, options, deadline.signal)
  } finally {
    deadline.stop()
  }
}

async function startSession(
  opener: 'local' | 'remote',
  stream: Stream,
  connection: Connection,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<Session> {
  const { clock = systemClock, calls, trust } = options
  const onRoundTrip = (roundTripMs: number): void => options.onRoundTrip?.(connection, roundTripMs)
  const framed = new FramedStream(stream, options.countBytes)
  const remotePeer = peerIdOf(connection.remotePeer)
  const handshake = { ...options, remotePeer, signal }
  try {
    const greetedAtMs = clock.monotonic()
    const greet = opener === 'local' ? greetAsDialer : greetAsListener
    const instance = await greet(framed, handshake)
    const remoteInstance = Buffer.from(instance).toString('hex')
    return new LiveSession({
      framed,
      connection,
      opener,
      remoteInstance,
      greetedAtMs,
      clock,
      log: options.log,
      calls,
      onRoundTrip,
      trust,
    })
  } catch (error) {
    framed.abort(error instanceof Error ? error : new Error('the hello failed', { cause: error }))
    throw error
  }
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not finish the hello in time.')
}

const helloTimeoutMs = 5_000
