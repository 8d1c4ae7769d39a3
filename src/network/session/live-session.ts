/* oxlint-disable max-lines -- one session: what may still be said in each phase, and how it ends once, is one subject */
import type { ByteStream, Clock, Log } from '../../api.ts'
import { untilAborted } from '../../abort.ts'
import { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
import { startDeadline } from '../deadline.ts'
import type { StreamFrame } from './byte-channel.ts'
import { ByteStreams, type OpenStreamOptions } from './byte-streams.ts'
import type { Call, CallHandler } from './call.ts'
import { ChannelNumbers } from './channel-numbers.ts'
import { Events } from './events.ts'
import type { FramedStream } from './framed-stream.ts'
import type { Frame } from './frames.ts'
import { InboundRequests } from './inbound-requests.ts'
import { Liveness, type LivenessSubject } from './liveness.ts'
import { OutboundRequests, type SessionRequestOptions } from './outbound-requests.ts'
import type { OutgoingQueue } from './outgoing-queue.ts'
import { pathBudget, requireFitting, type PathBudget } from './path-budget.ts'
import { Pings, type PingOptions } from './pings.ts'
import type { PathTimes } from './receive-window.ts'
import type { SessionCarrier } from './session-carrier.ts'
import type { Session, SessionEnd } from './session-contract.ts'
import { closeTimedOut, givenUp, isViolation, usedTwice } from './session-errors.ts'
import type { SessionTrust } from './session-trust.ts'
import type { SessionConnection } from '../transport/tls-connection.ts'

export interface LiveSessionOptions {
  calls: CallHandler
  trust: Pick<SessionTrust, 'revokedBy'>
  framed: FramedStream
  connection: SessionConnection
  opener: 'local' | 'remote'
  remoteInstance: string
  greetedAtMs: number
  clock: Clock
  log?: Log | undefined
  /** Called at every answer to a ping with the smoothed round trip. */
  onRoundTrip?: ((roundTripMs: number) => void) | undefined
}

/** Session after its hello: routes frames, watches that the other side is there, and ends exactly once. */
export class LiveSession implements Session, SessionCarrier, LivenessSubject {
  readonly remotePeer: PeerId
  readonly connection: SessionConnection
  readonly budget: PathBudget | null
  readonly opener: 'local' | 'remote'
  readonly remoteInstance: string
  readonly greetedAtMs: number
  readonly calls: CallHandler
  readonly outgoing: OutgoingQueue
  readonly channels: ChannelNumbers
  readonly clock: Clock
  readonly log: Log
  readonly #trust: LiveSessionOptions['trust']
  readonly #framed: FramedStream
  readonly #inbound: InboundRequests
  readonly #outbound: OutboundRequests
  readonly #streams: ByteStreams
  readonly #events: Events
  readonly #pings: Pings
  readonly #liveness: Liveness
  readonly #ended = Promise.withResolvers<SessionEnd>()
  readonly #idle = Promise.withResolvers<void>()
  #forsaken = new AbortController()
  #phase: 'open' | 'leaving' | 'closing' | 'ended' = 'open'
  #saidGoodbye = false
  #heardGoodbye = false
  #isDraining = false
  #onChange: (() => void) | undefined

  constructor(options: LiveSessionOptions) {
    const { framed, connection, opener, remoteInstance, calls, trust, clock, log, onRoundTrip } = options
    this.remotePeer = peerIdOf(connection.remotePeer)
    this.connection = connection
    this.budget = pathBudget(connection)
    this.opener = opener
    this.remoteInstance = remoteInstance
    this.greetedAtMs = options.greetedAtMs
    this.calls = calls
    this.outgoing = framed.outgoing
    this.channels = new ChannelNumbers(opener === 'local' ? 1 : 2)
    this.clock = clock
    this.log = log ?? (() => {})
    this.#trust = trust
    this.#framed = framed
    this.#pings = new Pings({ framed, clock, onRoundTrip })
    this.#inbound = new InboundRequests(this)
    this.#outbound = new OutboundRequests(this)
    this.#streams = new ByteStreams(this)
    this.#events = new Events(this)
    this.#liveness = new Liveness(this, clock)
    framed.onReceived = () => this.#liveness.received()
    framed.onSent = () => {
      this.#liveness.sent()
      this.#pings.sent()
    }
    framed.onEnd = (error) => this.#streamEnded(error)
    framed.receive((frame) => this.#receive(frame))
    if (framed.ended !== undefined) this.#streamEnded(framed.ended.error)
  }

  get path(): PathTimes {
    return this.#pings
  }

  get isLeaving(): boolean {
    return this.#phase !== 'open'
  }

  get isDoubtful(): boolean {
    return this.#liveness.isDoubtful
  }

  get forsaken(): AbortSignal {
    return this.#forsaken.signal
  }

  get closed(): Promise<SessionEnd> {
    return this.#ended.promise
  }

  watch(onChange: () => void): void {
    this.#onChange = onChange
  }

  check(): void {
    this.#liveness.check()
  }

  async request(call: Call, options?: SessionRequestOptions): Promise<unknown> {
    this.#requireOpen()
    requireFitting(this.budget, call.value)
    return await this.#outbound.request(call, options)
  }

  async openStream(call: Call, options?: OpenStreamOptions): Promise<ByteStream> {
    this.#requireOpen()
    requireFitting(this.budget, call.value)
    return this.#streams.open(call, options)
  }

  emit(call: Call): Promise<void> {
    this.#requireOpen()
    requireFitting(this.budget, call.value)
    return this.#events.emit(call)
  }

  async ping(options?: PingOptions): Promise<number> {
    if (this.#phase !== 'leaving') this.#requireOpen()
    return this.#pings.ping(options)
  }

  async drain(): Promise<void> {
    if (!this.#isDraining && (this.#phase === 'open' || this.#phase === 'leaving')) {
      this.#isDraining = true
      this.#leave()
      this.#sayGoodbye()
      this.noticeIdle()
      await this.#idle.promise
      await this.close()
    }
    await this.#ended.promise
  }

  async close(): Promise<void> {
    if (this.#phase === 'open' || this.#phase === 'leaving') {
      this.#leave()
      this.#phase = 'closing'
      this.#sayGoodbye()
      this.noticeIdle()
      const deadline = startDeadline(closeTimeoutMs, closeTimedOut, { clock: this.clock })
      try {
        await untilAborted(this.#idle.promise, deadline.signal)
        await this.#framed.close(deadline.signal)
        await untilAborted(this.#ended.promise, deadline.signal)
      } catch {
        // The goodbye is said and waited for: both outcomes go on alike.
      } finally {
        deadline.stop()
      }
      this.#finish({ reason: 'closed' }, closedHere())
    }
    await this.#ended.promise
  }

  forsake(): void {
    const before = this.#forsaken
    // The session may answer again: calls that begin then get a new signal.
    this.#forsaken = new AbortController()
    before.abort(givenUp())
  }

  async revoke(notice: Uint8Array): Promise<void> {
    if (this.#phase === 'ended') return
    this.#phase = 'closing'
    const revoked = new SpacedockError('not-paired', 'The device was revoked.')
    // Frames from the other side are ignored from here on, and only the revocation notice is sent.
    this.#framed.receive(() => {})
    this.#callOff(revoked)
    this.outgoing.clear()
    this.outgoing.pushControl({ type: 'revoked', more: false, channel: 0, payload: notice })
    this.flush()
    const deadline = startDeadline(revokedTimeoutMs, closeTimedOut, { clock: this.clock })
    // The other side hangs up as soon as it has heard the revocation notice.
    await untilAborted(this.#ended.promise, deadline.signal).catch(() => {})
    deadline.stop()
    this.#finish({ reason: 'aborted', cause: revoked }, revoked)
  }

  abort(error: Error): void {
    this.#finish({ reason: 'aborted', cause: error }, error)
  }

  flush(): void {
    this.#framed.flush()
  }

  noticeIdle(): void {
    const isOwnIdle = this.#outbound.isIdle && this.#streams.isOwnIdle && this.#events.isIdle
    if (this.#phase === 'leaving' && isOwnIdle) this.#sayGoodbye()
    // Requests that the other side sent before it heard our goodbye are still on their way until we hear its own.
    if (this.#heardGoodbye && isOwnIdle && this.#inbound.isIdle && this.#streams.isIdle) this.#idle.resolve()
  }

  get roundTripMs(): number | undefined {
    return this.#pings.smoothedMs
  }

  askForLife(): void {
    this.#pings.sendKeepalive()
  }

  doubtChanged(): void {
    this.#onChange?.()
  }

  fellSilent(): void {
    this.#finish({ reason: 'silent' }, new SpacedockError('offline', 'The other device fell silent.'))
  }

  #requireOpen(): void {
    if (this.#phase !== 'open')
      throw new SpacedockError('interrupted', 'The connection to the other device is closing.')
  }

  #leave(): void {
    if (this.#phase !== 'open') return
    this.#phase = 'leaving'
    this.#onChange?.()
  }

  #sayGoodbye(): void {
    if (this.#saidGoodbye) return
    this.#saidGoodbye = true
    this.outgoing.pushControl({ type: 'goodbye', more: false, channel: 0, payload: new Uint8Array(0) })
    this.flush()
  }

  #finish(end: SessionEnd, error: Error): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#liveness.stop()
    // The session ends first, so that a caller whose request fails and who tries again is not given it once more.
    this.#ended.resolve(end)
    this.#callOff(error)
    this.#framed.abort(error)
    this.#forsaken.abort(error)
    this.#idle.resolve()
  }

  /** Ends everything under way on this side. */
  #callOff(cause: Error): void {
    // Requests see one code whatever ended the session; the cause says which.
    const interrupted = new SpacedockError(
      'interrupted',
      'The connection to the other device ended before the answer.',
      { cause, hint: 'Try again when the device is back.' },
    )
    this.#inbound.abortAll(interrupted)
    this.#outbound.rejectAll(interrupted)
    this.#streams.failAll(interrupted)
    this.#events.end(interrupted)
    this.#pings.rejectAll(interrupted)
  }

  #streamEnded(error: Error | undefined): void {
    if (this.#phase === 'closing') this.#finish({ reason: 'closed' }, error ?? closedHere())
    else if (this.#heardGoodbye) this.#finish({ reason: 'remote-closed' }, closedThere(''))
    else {
      const cause = error ?? closedThere(' without a word')
      this.#finish({ reason: isViolation(cause) ? 'violation' : 'interrupted', cause }, cause)
    }
  }

  /** Handles a frame. Throws an error that ends the session. */
  #receive(frame: Frame): void {
    if (this.outgoing.controlFrames > maxControlFrames) {
      throw new SpacedockError('too-large', 'The other device asks without ever reading an answer.')
    }
    switch (frame.type) {
      case 'request':
        this.#expectChannel(frame, 'theirs')
        if (this.#streams.uses(frame.channel)) throw usedTwice()
        return this.#inbound.receive(frame)
      case 'cancel':
        this.#expectChannel(frame, 'theirs')
        return this.#inbound.cancel(frame.channel)
      case 'response':
        this.#expectChannel(frame, 'ours')
        return this.#outbound.receiveResponse(frame)
      case 'error':
        this.#expectChannel(frame, 'ours')
        return this.#outbound.receiveError(frame)
      case 'ping':
        return this.#pings.answer(frame)
      case 'pong':
        return this.#pings.receive(frame)
      case 'goodbye':
        this.#heardGoodbye = true
        this.#leave()
        return this.noticeIdle()
      case 'revoked':
        return this.#receiveRevocation(frame.payload)
      case 'open':
        this.#expectChannel(frame, 'theirs')
        if (this.#inbound.uses(frame.channel)) throw usedTwice()
        return this.#streams.receiveOpen(frame)
      case 'accept':
      case 'data':
      case 'end':
      case 'credit':
      case 'stop':
      case 'reset':
        return this.#streams.receive(frame as StreamFrame)
      case 'event':
        return this.#events.receive(frame)
      case 'eventCredit':
      case 'systemEventCredit':
        return this.#events.receiveCredit(frame)
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

  #receiveRevocation(notice: Uint8Array): void {
    if (!this.#trust.revokedBy(this.remotePeer, notice)) {
      throw new SpacedockError('invalid-message', 'The other device sent a revocation notice that is none.')
    }
    const revoked = new SpacedockError('not-paired', 'The other device has revoked this one.')
    this.#finish({ reason: 'revoked' }, revoked)
  }

  #expectChannel(frame: Frame, whose: 'ours' | 'theirs'): void {
    if (this.channels.isOurs(frame.channel) === (whose === 'ours')) return
    throw new SpacedockError(
      'invalid-message',
      `The other device sent ${frame.type} on a channel of the wrong side.`,
    )
  }
}

function closedHere(): SpacedockError {
  return new SpacedockError('closed', 'This device closed the connection.')
}

function closedThere(how: '' | ' without a word'): SpacedockError {
  return new SpacedockError('interrupted', `The other device closed the connection${how}.`)
}

const closeTimeoutMs = 1_000
const revokedTimeoutMs = 500
const maxControlFrames = 1_024
