/* oxlint-disable max-lines -- one session: what may still be said in each phase, and how it ends once, is one subject */
import type { Connection } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import type { FramedStream } from './framed-stream.ts'
import type { Frame } from './frames.ts'
import { ByteStreams } from './byte-streams.ts'
import type { CallHandler } from './call.ts'
import { ChannelNumbers } from './channel-numbers.ts'
import { Events } from './events.ts'
import { InboundRequests } from './inbound-requests.ts'
import { Liveness } from './liveness.ts'
import { OutboundRequests } from './outbound-requests.ts'
import { pathBudget, requireFitting } from './path-budget.ts'
import { Pings } from './pings.ts'
import type { Session, SessionEnd } from './session-contract.ts'
import { closeTimedOut, givenUp, isViolation, usedTwice } from './session-errors.ts'
import type { Clock, Log } from '../../api.ts'
import { peerIdOf } from '../../peer-id.ts'

export interface LiveSessionOptions {
  calls: CallHandler
  framed: FramedStream
  connection: Connection
  opener: 'local' | 'remote'
  remoteInstance: string
  clock: Clock
  log?: Log | undefined
  /** Called at every answer to a ping with the smoothed round trip. */
  onRoundTrip?: ((roundTripMs: number) => void) | undefined
  /** Whether the revocation notice proves that the other side has revoked this device. */
  isRevocationNotice: (notice: Uint8Array) => boolean
}

/** Runs a session after its hello: routes frames, watches that the other side is there, and ends exactly once. */
// oxlint-disable-next-line max-lines-per-function -- an object of closures: they are short, and share what it keeps
export function startLiveSession(options: LiveSessionOptions): Session {
  const { framed, connection, opener, calls, clock } = options
  const { outgoing } = framed
  const remotePeer = peerIdOf(connection.remotePeer)
  const ended = Promise.withResolvers<SessionEnd>()
  const idle = Promise.withResolvers<void>()
  let forsaken = new AbortController()
  let phase: 'open' | 'leaving' | 'closing' | 'ended' = 'open'
  let saidGoodbye = false
  let heardGoodbye = false
  let isDraining = false
  let onChange: (() => void) | undefined
  const flush = (): void => framed.flush()
  /** Requests that the other side sent before it heard our goodbye are still on their way until we hear its own. */
  const isIdle = (): boolean =>
    heardGoodbye && inbound.isIdle && outbound.isIdle && streams.isIdle && events.isIdle
  const noticeIdle = (): void => {
    if (phase === 'leaving' && outbound.isIdle && streams.isOwnIdle && events.isIdle) sayGoodbye()
    if (isIdle()) idle.resolve()
  }
  function leave(): void {
    if (phase !== 'open') return
    phase = 'leaving'
    onChange?.()
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
    calls,
    peerId: remotePeer,
    clock,
    log: options.log,
    onIdle: noticeIdle,
  })
  const budget = pathBudget(connection)
  const channels = new ChannelNumbers(opener === 'local' ? 1 : 2)
  const outbound = new OutboundRequests({ outgoing, flush, channels, clock, onIdle: noticeIdle })
  const streams = new ByteStreams({
    outgoing,
    flush,
    channels,
    clock,
    calls,
    peerId: remotePeer,
    onIdle: noticeIdle,
  })
  const events = new Events({
    outgoing,
    flush,
    clock,
    calls,
    peerId: remotePeer,
    onIdle: noticeIdle,
  })
  const pings = new Pings({ framed, clock, onRoundTrip: options.onRoundTrip })
  const liveness = new Liveness({
    clock,
    ping: () => pings.sendKeepalive(),
    roundTripMs: () => pings.roundTripMs,
    onDoubt: () => onChange?.(),
    onSilent: () =>
      finish({ reason: 'silent' }, new SpacedockError('offline', 'The other device fell silent.')),
  })

  /** Ends everything under way on this side. */
  function callOff(cause: Error): void {
    // Requests see one code whatever ended the session; the cause says which.
    const interrupted = new SpacedockError(
      'interrupted',
      'The connection to the other device ended before the answer.',
      { cause, hint: 'Try again when the device is back.' },
    )
    inbound.abortAll(interrupted)
    outbound.rejectAll(interrupted)
    streams.failAll(interrupted)
    events.end(interrupted)
    pings.rejectAll(interrupted)
  }

  function finish(end: SessionEnd, error: Error): void {
    if (phase === 'ended') return
    phase = 'ended'
    liveness.stop()
    // The session ends first, so that a caller whose request fails and who tries again is not given it once more.
    ended.resolve(end)
    callOff(error)
    framed.abort(error)
    forsaken.abort(error)
    idle.resolve()
  }

  function receive(frame: Frame): void {
    if (outgoing.controlFrames > maxControlFrames) {
      throw new SpacedockError('too-large', 'The other device asks without ever reading an answer.')
    }
    switch (frame.type) {
      case 'request':
        expectChannel(frame, 'theirs')
        if (streams.uses(frame.channel)) throw usedTwice()
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
        leave()
        return noticeIdle()
      case 'revoked':
        if (!options.isRevocationNotice(frame.payload)) {
          throw new SpacedockError(
            'invalid-message',
            'The other device sent a revocation notice that is none.',
          )
        }
        return finish(
          { reason: 'revoked' },
          new SpacedockError('not-paired', 'The other device has revoked this one.'),
        )
      case 'open':
        expectChannel(frame, 'theirs')
        if (inbound.uses(frame.channel)) throw usedTwice()
        return streams.receiveOpen(frame)
      case 'accept':
      case 'data':
      case 'end':
      case 'credit':
      case 'stop':
      case 'reset':
        return streams.receive({ ...frame, type: frame.type })
      case 'event':
        return events.receive(frame)
      case 'eventCredit':
      case 'systemEventCredit':
        return events.receiveCredit(frame)
      case 'dialerHello':
      case 'listenerHello':
      case 'dialerProof':
      case 'unknownDevice':
      case 'otherVersion':
        throw new SpacedockError('invalid-message', `The other device sent ${frame.type} after the hello.`)
      default:
        return frame.type satisfies never
    }
  }

  function expectChannel(frame: Frame, whose: 'ours' | 'theirs'): void {
    if (channels.isOurs(frame.channel) === (whose === 'ours')) return
    throw new SpacedockError(
      'invalid-message',
      `The other device sent ${frame.type} on a channel of the wrong side.`,
    )
  }

  function refuseWhenOver(): void {
    if (phase !== 'open')
      throw new SpacedockError('interrupted', 'The connection to the other device is closing.')
  }

  async function drain(): Promise<void> {
    if (!isDraining && (phase === 'open' || phase === 'leaving')) {
      isDraining = true
      leave()
      sayGoodbye()
      noticeIdle()
      await idle.promise
      await close()
    }
    await ended.promise
  }

  async function close(): Promise<void> {
    if (phase === 'open' || phase === 'leaving') {
      leave()
      phase = 'closing'
      sayGoodbye()
      noticeIdle()
      const deadline = startDeadline(closeTimeoutMs, closeTimedOut, { clock })
      try {
        await untilAborted(idle.promise, deadline.signal)
        await framed.close(deadline.signal)
        await untilAborted(ended.promise, deadline.signal)
      } catch {
        // The goodbye is said and waited for: both outcomes go on alike.
      } finally {
        deadline.stop()
      }
      finish({ reason: 'closed' }, new SpacedockError('closed', 'This device closed the connection.'))
    }
    await ended.promise
  }

  async function revoke(notice: Uint8Array): Promise<void> {
    if (phase === 'ended') return
    phase = 'closing'
    const revoked = new SpacedockError('not-paired', 'The device was revoked.')
    // Frames from the other side are ignored from here on, and only the revocation notice is sent.
    framed.receive(() => {})
    callOff(revoked)
    outgoing.clear()
    outgoing.pushControl({ type: 'revoked', more: false, channel: 0, payload: notice })
    flush()
    const deadline = startDeadline(revokedTimeoutMs, closeTimedOut, { clock })
    // The other side hangs up as soon as it has heard the revocation notice.
    await untilAborted(ended.promise, deadline.signal).catch(() => {})
    deadline.stop()
    finish({ reason: 'aborted', cause: revoked }, revoked)
  }

  framed.onReceived = () => liveness.received()
  framed.onSent = () => {
    liveness.sent()
    pings.sent()
  }
  framed.onEnd = (error) => {
    if (phase === 'closing')
      finish(
        { reason: 'closed' },
        error ?? new SpacedockError('closed', 'This device closed the connection.'),
      )
    else if (heardGoodbye) {
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
    budget,
    opener,
    remoteInstance: options.remoteInstance,
    get isLeaving() {
      return phase !== 'open'
    },
    get isDoubtful() {
      return liveness.isDoubtful
    },
    get forsaken() {
      return forsaken.signal
    },
    closed: ended.promise,
    watch(listener) {
      onChange = listener
    },
    check: () => liveness.check(),
    async request(call, requestOptions) {
      refuseWhenOver()
      requireFitting(budget, call.value)
      return outbound.request(call, requestOptions)
    },
    async openStream(call, openOptions) {
      refuseWhenOver()
      requireFitting(budget, call.value)
      return streams.open(call, openOptions)
    },
    emit(call) {
      refuseWhenOver()
      requireFitting(budget, call.value)
      return events.emit(call)
    },
    async ping(pingOptions) {
      if (phase !== 'leaving') refuseWhenOver()
      return pings.ping(pingOptions)
    },
    drain,
    close,
    forsake() {
      const before = forsaken
      // The session may answer again: calls that begin then get a new signal.
      forsaken = new AbortController()
      before.abort(givenUp())
    },
    revoke,
    abort(error) {
      finish({ reason: 'aborted', cause: error }, error)
    },
  }
}

const closeTimeoutMs = 1_000
const revokedTimeoutMs = 500
const maxControlFrames = 1_024
