import type { Stream } from '@libp2p/interface'
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
import { isTls, type SessionConnection, type TlsConnection } from '../transport/tls-connection.ts'
import type { SessionTransport } from './session-transport.ts'
import { StreamTransport } from './stream-transport.ts'
import { TlsTransport } from './tls-transport.ts'

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
  onRoundTrip?: (connection: SessionConnection, roundTripMs: number) => void
  clock?: Clock
  log?: Log
  /** Aborts the opening; has no effect on the session once it is open. */
  signal?: AbortSignal
}

/**
 * Opens a session over a connection. Rejects with `not-paired` when the device at the other end says that it does not
 * know this one, or has revoked it, `timed-out` after five seconds, `interrupted`, `invalid-message`, or the signal's reason.
 */
export async function openSession(connection: SessionConnection, options: SessionOptions): Promise<Session> {
  const deadline = startDeadline(helloTimeoutMs, timedOut, options)
  try {
    const transport = await openTransport(connection, deadline.signal)
    return await startSession('local', transport, connection, options, deadline.signal)
  } catch (error) {
    deadline.signal.throwIfAborted()
    if (error instanceof SpacedockError) throw error
    throw new SpacedockError('interrupted', 'The session could not be opened.', { cause: error })
  } finally {
    deadline.stop()
  }
}

/** A session has a TLS connection for itself, and shares one of libp2p with other streams. */
async function openTransport(connection: SessionConnection, signal: AbortSignal): Promise<SessionTransport> {
  if (isTls(connection)) return new TlsTransport(connection)
  // Relayed connections carry sessions too, hence runOnLimitedConnection.
  return new StreamTransport(
    await connection.newStream(sessionProtocol, { runOnLimitedConnection: true, signal }),
  )
}

/** Accepts the other side's `openSession` on a stream; the caller has checked that the peer is paired. */
export function acceptSession(
  stream: Stream,
  connection: SessionConnection,
  options: SessionOptions,
): Promise<Session> {
  return acceptOver(new StreamTransport(stream), connection, options)
}

/** Accepts the other side's `openSession` on a TLS connection. */
export function acceptTlsSession(connection: TlsConnection, options: SessionOptions): Promise<Session> {
  return acceptOver(new TlsTransport(connection), connection, options)
}

async function acceptOver(
  transport: SessionTransport,
  connection: SessionConnection,
  options: SessionOptions,
): Promise<Session> {
  const deadline = startDeadline(helloTimeoutMs, timedOut, options)
  try {
    return await startSession('remote', transport, connection, options, deadline.signal)
  } finally {
    deadline.stop()
  }
}

async function startSession(
  opener: 'local' | 'remote',
  transport: SessionTransport,
  connection: SessionConnection,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<Session> {
  const { clock = systemClock, calls, trust } = options
  const onRoundTrip = (roundTripMs: number): void => options.onRoundTrip?.(connection, roundTripMs)
  const framed = new FramedStream(transport, options.countBytes)
  const remotePeer = peerIdOf(connection.remotePeer)
  const binding = isTls(connection) ? connection.binding : undefined
  const handshake = { ...options, remotePeer, binding, signal }
  try {
    const greetedAtMs = clock.monotonic()
    const greet = opener === 'local' ? greetAsDialer : greetAsListener
    const { instance, seal } = await greet(framed, handshake)
    if (transport instanceof StreamTransport) transport.seal(seal, framed.endHello())
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
