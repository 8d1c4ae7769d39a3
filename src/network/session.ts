import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { SpacedockError } from '../errors.ts'
import { startDeadline } from './deadline.ts'
import { FramedStream } from './framed-stream.ts'
import { startLiveSession } from './live-session.ts'
import type { SessionRequestOptions } from './outbound-requests.ts'
import type { PingOptions } from './pings.ts'
import { greetAsDialer, greetAsListener } from './session-handshake.ts'
import type { PairKey } from './session-hello.ts'
import type { Timers } from './timers.ts'
import { systemTimers } from './timers.ts'

export const sessionProtocol = '/spacedock/session/1.0.0'

/** One long-lived framed stream between two paired devices, which carries everything they say to each other. */
export interface Session {
  readonly remotePeer: PeerId
  /** The libp2p connection it runs over: its address, and whether it is relayed. */
  readonly connection: Connection
  readonly opener: 'local' | 'remote'
  /** 32 hex digits, new at every start of the other device. */
  readonly remoteInstance: string
  /** Never rejects. */
  readonly closed: Promise<SessionEnd>
  /**
   * One request, one answer; requests may overtake each other. Rejects with what the other side says
   * (`unknown-protocol`, `invalid-message`, `too-large`, `remote-failure`), `timed-out`, `interrupted` when the session
   * ends first, or the signal's reason, which also aborts the handler's signal on the other side.
   */
  request(name: string, version: number, value: unknown, options?: SessionRequestOptions): Promise<unknown>
  /** Milliseconds of one round trip. Rejects with `timed-out`, `interrupted` or the signal's reason. */
  ping(options?: PingOptions): Promise<number>
  /** Says goodbye, lets what is under way finish for up to a second, closes. Never rejects. */
  close(): Promise<void>
  /** Ends it at once. */
  abort(error: Error): void
}

export type SessionEnd =
  /** by this side, in order */
  | { reason: 'closed' }
  /** by the other side, in order */
  | { reason: 'remote-closed' }
  /** nothing was heard for nine seconds */
  | { reason: 'silent' }
  /** the other side broke the rules of the protocol */
  | { reason: 'violation'; cause: Error }
  /** the stream or its connection was lost */
  | { reason: 'interrupted'; cause: Error }
  /** by this side, at once */
  | { reason: 'aborted'; cause: Error }

export interface SessionOptions {
  localPeer: PeerId
  /** 16 random bytes made once at process start. */
  instance: Uint8Array
  /** What this side holds for a peer, newest first, at most two; none when it is not paired. */
  keysOf: (peerId: PeerId) => readonly PairKey[] | Promise<readonly PairKey[]>
  /** Called once the other side has proved a key, and awaited before the session is used. */
  onProved: (peerId: PeerId, pairKey: PairKey) => void | Promise<void>
  /** Handles what the other side asks; a rejection is told to it by code and message. */
  dispatch: (
    name: string,
    version: number,
    value: unknown,
    options: { peerId: PeerId; signal: AbortSignal },
  ) => Promise<unknown>
  /** 32 random bytes when asked for 32. @default node:crypto */
  random?: (length: number) => Uint8Array
  timers?: Timers
  /** Calls off the opening; has no effect on the session once it is open. */
  signal?: AbortSignal
}

/**
 * Opens a session over a connection. Rejects with `not-paired` when the device at the other end says that it does not
 * know this one, `timed-out` after five seconds, `interrupted`, `invalid-message`, or the signal's reason.
 */
export async function openSession(connection: Connection, options: SessionOptions): Promise<Session> {
  const deadline = startDeadline(helloTimeoutMs, timedOut, options)
  try {
    // runOnLimitedConnection: relayed connections carry sessions too.
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

/** The other end of `openSession`; the caller has checked that the peer is paired. */
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
  const { timers = systemTimers, dispatch } = options
  const framed = new FramedStream(stream)
  const handshake = { ...options, remotePeer: connection.remotePeer, signal }
  try {
    const greet = opener === 'local' ? greetAsDialer : greetAsListener
    const instance = await greet(framed, handshake)
    const remoteInstance = Buffer.from(instance).toString('hex')
    return startLiveSession({ framed, connection, opener, remoteInstance, timers, dispatch })
  } catch (error) {
    framed.abort(error instanceof Error ? error : new Error('the hello failed', { cause: error }))
    throw error
  }
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not finish the hello in time.')
}

const helloTimeoutMs = 5_000
