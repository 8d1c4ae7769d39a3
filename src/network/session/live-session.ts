import type { Connection, PeerId } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { startDeadline, untilAborted } from '../deadline.ts'
import type { FramedStream } from './framed-stream.ts'
import type { Frame } from './frames.ts'
import { InboundRequests } from './inbound-requests.ts'
import { Liveness } from './liveness.ts'
import { OutboundRequests, type SessionRequestOptions } from './outbound-requests.ts'
import { Pings, type PingOptions } from './pings.ts'
import type { Clock } from '../../api.ts'
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
  /** Says goodbye, lets what is under way finish, closes. Never rejects. */
  close(options?: CloseOptions): Promise<void>
  /** Ends it at once. */
  abort(error: Error): void
}

export interface CloseOptions {
  /** How long what is under way may take. @default 1_000 */
  patienceMs?: number
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

export interface LiveSessionOptions {
  framed: FramedStream
  connection: Connection
  opener: 'local' | 'remote'
  remoteInstance: string
  clock: Clock
  /** Called at every answer to a ping with the time that it takes, smoothed. */
  onRoundTrip?: ((roundTripMs: number) => void) | undefined
  dispatch: (
    name: string,
    version: number,
    value: unknown,
    options: { peerId: PeerId; signal: AbortSignal },
  ) => Promise<unknown>
}

/** A session after its hello: routes frames, watches that the other side is there, and ends exactly once. */
export function startLiveSession(options: LiveSessionOptions): Session {
  const { framed, connection, opener, clock } = options
  const { outgoing } = framed
  const remotePeer = connection.remotePeer
  const ended = Promise.withResolvers<SessionEnd>()
  let phase: 'open' | 'closing' | 'goodbye-received' | 'ended' = 'open'
  let saidGoodbye = false
  let heardGoodbye = false
  let onIdle: (() => void) | undefined

  const flush = (): void => framed.flush()
  /** What the other side asked before it heard our goodbye is still on its way until we hear its own. */
  const isIdle = (): boolean => heardGoodbye && inbound.isIdle && outbound.isIdle
  const noticeIdle = (): void => {
    if (phase === 'goodbye-received' && outbound.isIdle) sayGoodbye()
    if (isIdle()) onIdle?.()
  }
  function sayGoodbye(): void {
    if (saidGoodbye) return
    saidGoodbye = true
    outgoing.pushControl({ type: 'goodbye', more: false, channel: 0, payload: new Uint8Array(0) })
    flush()
  }
  const inbound = new InboundRequests({
    outgoing,
    flush,
    dispatch: (name, version, value, { signal }) =>
      options.dispatch(name, version, value, { peerId: remotePeer, signal }),
    onIdle: noticeIdle,
  })
  const firstChannel = opener === 'local' ? 1 : 2
  const outbound = new OutboundRequests({ outgoing, flush, firstChannel, clock, onIdle: noticeIdle })
  const pings = new Pings({ framed, clock, onRoundTrip: options.onRoundTrip })
  const liveness = new Liveness({
    clock,
    ping: () => pings.sendKeepalive(),
    onSilent: () =>
      finish({ reason: 'silent' }, new SpacedockError('offline', 'The other device fell silent.')),
  })

  function finish(end: SessionEnd, error: Error): void {
    if (phase === 'ended') return
    phase = 'ended'
    liveness.stop()
    // Requests see one code whatever ended the session; the cause says which.
    const interrupted = new SpacedockError(
      'interrupted',
      'The connection to the other device ended before the answer.',
      {
        cause: error,
      },
    )
    inbound.abortAll(interrupted)
    outbound.rejectAll(interrupted)
    pings.rejectAll(interrupted)
    framed.abort(error)
    onIdle?.()
    ended.resolve(end)
  }

  function receive(frame: Frame): void {
    if (outgoing.controlFrames > maxControlFrames) {
      throw new SpacedockError('too-large', 'The other device asks without ever reading an answer.')
    }
    switch (frame.type) {
      case 'request':
        expectChannel(frame, 'theirs')
        return inbound.receive(frame)
      case 'cancel':
        expectChannel(frame, 'theirs')
        return inbound.cancel(frame.channel)
      case 'response':
        expectChannel(frame, 'ours')
        return outbound.receiveResponse(frame)
      case 'error':
        expectChannel(frame, 'ours')
        return outbound.receiveError(frame)
      case 'ping':
        return pings.answer(frame)
      case 'pong':
        return pings.receive(frame)
      case 'goodbye':
        heardGoodbye = true
        if (phase === 'open') phase = 'goodbye-received'
        return noticeIdle()
      case 'dialerHello':
      case 'listenerHello':
      case 'dialerProof':
      case 'unknownDevice':
        throw new SpacedockError('invalid-message', `The other device sent ${frame.type} after the hello.`)
      default:
        return frame.type satisfies never
    }
  }

  function expectChannel(frame: Frame, whose: 'ours' | 'theirs'): void {
    const isOurs = frame.channel % 2 === firstChannel % 2
    if (isOurs === (whose === 'ours')) return
    throw new SpacedockError(
      'invalid-message',
      `The other device sent ${frame.type} on a channel of the wrong side.`,
    )
  }

  function refuseWhenOver(): void {
    if (phase !== 'open')
      throw new SpacedockError('interrupted', 'The connection to the other device is closing.')
  }

  async function close({ patienceMs = closeTimeoutMs }: CloseOptions = {}): Promise<void> {
    if (phase === 'open' || phase === 'goodbye-received') {
      phase = 'closing'
      const deadline = startDeadline(patienceMs, closeTimedOut, { clock })
      try {
        sayGoodbye()
        if (!isIdle()) {
          const idle = new Promise<void>((resolve) => {
            onIdle = resolve
          })
          await untilAborted(idle, deadline.signal)
        }
        await framed.close(deadline.signal)
        await untilAborted(ended.promise, deadline.signal)
      } catch {
        // Said goodbye, waited: what follows is the same either way.
      } finally {
        deadline.stop()
      }
      finish({ reason: 'closed' }, new SpacedockError('closed', 'This device closed the connection.'))
    }
    await ended.promise
  }

  framed.onReceived = () => liveness.received()
  framed.onSent = () => liveness.sent()
  framed.onEnd = (error) => {
    if (phase === 'closing')
      finish(
        { reason: 'closed' },
        error ?? new SpacedockError('closed', 'This device closed the connection.'),
      )
    else if (phase === 'goodbye-received') {
      finish(
        { reason: 'remote-closed' },
        new SpacedockError('interrupted', 'The other device closed the connection.'),
      )
    } else {
      const cause =
        error ?? new SpacedockError('interrupted', 'The other device closed the connection without a word.')
      finish({ reason: isViolation(cause) ? 'violation' : 'interrupted', cause }, cause)
    }
  }
  framed.receive(receive)
  if (framed.ended !== undefined) framed.onEnd(framed.ended.error)

  return {
    remotePeer,
    connection,
    opener,
    remoteInstance: options.remoteInstance,
    closed: ended.promise,
    async request(name, version, value, requestOptions) {
      refuseWhenOver()
      return outbound.request(name, version, value, requestOptions)
    },
    async ping(pingOptions) {
      refuseWhenOver()
      return pings.ping(pingOptions)
    },
    close,
    abort(error) {
      finish({ reason: 'aborted', cause: error }, error)
    },
  }
}

const closeTimeoutMs = 1_000
const maxControlFrames = 1_024

function closeTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not close in time.')
}

function isViolation(error: Error): boolean {
  return error instanceof SpacedockError && (error.code === 'invalid-message' || error.code === 'too-large')
}
