import { SpacedockError } from '../../errors.ts'
import { BoundedBuffer } from '../bounded-buffer.ts'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import type { Frame } from './frames.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import { encodeRemoteError } from './remote-error.ts'
import { decodeRequestHeader, isSystemProtocol, maxMessageBytes } from './request-header.ts'
import { RequestCaller } from './request-caller.ts'
import { maxInFlight, RequestSlots } from './request-slots.ts'
import type { SessionCarrier } from './session-carrier.ts'

interface Asked {
  name: string
  version: number
  /** Releases its slot for another request. */
  release: () => void
}

type Running = Asked & {
  phase: 'running'
  caller: RequestCaller
  /** Settled when the handler has ended, where somebody waits for that. */
  ended: PromiseWithResolvers<void> | undefined
}

type Channel =
  | (Asked & { phase: 'receiving'; body: BoundedBuffer })
  /** Answered with an error before it was complete; the rest of it is dropped. */
  | { phase: 'refused' }
  /** Complete, and waiting until some of the answers before it have left. */
  | (Asked & { phase: 'ready'; body: Uint8Array })
  | Running
  | (Asked & { phase: 'answering'; answerBytes: number })

/** Requests of the other side: reassembles them, has them handled, queues the answers. */
export class InboundRequests {
  readonly #session: SessionCarrier
  readonly #channels = new Map<number, Channel>()
  readonly #slots = new RequestSlots()
  readonly #over = new AbortController()
  /** Bytes of requests that are not handled yet. */
  #bufferedBytes = 0
  /** Bytes of answers that have not left yet. */
  #answerBytes = 0
  /** Handlers of cancelled requests that still run, and whose slots were given to others. */
  #forgotten = 0

  constructor(session: SessionCarrier) {
    this.#session = session
  }

  get isIdle(): boolean {
    return this.#channels.size === 0
  }

  uses(channel: number): boolean {
    return this.#channels.has(channel)
  }

  /** Handles a `request` frame. Throws an error that ends the session. */
  receive({ channel, payload, more }: Frame): void {
    const known = this.#channels.get(channel)
    if (known === undefined) return this.#begin(channel, payload, more)
    if (known.phase === 'refused') {
      if (!more) this.#forget(channel)
      return undefined
    }
    if (known.phase !== 'receiving') {
      throw new SpacedockError('invalid-message', 'The other device used a channel twice.')
    }
    return this.#append(channel, known, payload, more)
  }

  /** Handles a `cancel` frame; it may cross with the answer. */
  cancel(channel: number): void {
    const known = this.#channels.get(channel)
    if (known === undefined) return
    if (known.phase === 'receiving') this.#bufferedBytes -= known.body.length
    if (known.phase === 'ready') this.#bufferedBytes -= known.body.byteLength
    if (known.phase === 'answering') {
      this.#session.outgoing.drop(channel)
      return this.#answered(channel, known.answerBytes)
    }
    if (known.phase !== 'running') return this.#forget(channel)
    this.#channels.delete(channel)
    void this.#abandon(known)
    if (this.isIdle) this.#session.noticeIdle()
  }

  /** Aborts all handlers when the session is over. */
  abortAll(reason: Error): void {
    this.#over.abort(reason)
    for (const known of this.#channels.values()) {
      if (known.phase === 'running') known.caller.callOff(reason)
    }
    this.#channels.clear()
  }

  #begin(channel: number, payload: Uint8Array, more: boolean): void {
    if (this.#channels.size >= maxChannels) {
      throw new SpacedockError(
        'too-large',
        'The other device sends requests faster than they can be refused.',
      )
    }
    const { name, version, rest } = decodeRequestHeader(payload)
    const release = this.#slots.take(name)
    if (release === undefined) return this.#refuse(channel, more, busy())
    const fits = this.#bufferedBytes + rest.byteLength <= maxBufferedBytes
    // A request of one frame is run as it lies in the packet; only what is kept is copied.
    if (!more && fits && this.#mayRun(name)) return this.#run(channel, { name, version, release }, rest)
    const body = new BoundedBuffer(maxMessageBytes)
    const state = { phase: 'receiving' as const, name, version, release, body }
    this.#channels.set(channel, state)
    return this.#append(channel, state, rest, more)
  }

  #append(
    channel: number,
    state: Channel & { phase: 'receiving' },
    payload: Uint8Array,
    more: boolean,
  ): void {
    if (this.#bufferedBytes + payload.byteLength > maxBufferedBytes) {
      this.#bufferedBytes -= state.body.length
      return this.#refuse(channel, more, busy())
    }
    if (!state.body.append(payload)) {
      this.#bufferedBytes -= state.body.length
      return this.#refuse(channel, more, tooLarge('request'))
    }
    this.#bufferedBytes += payload.byteLength
    if (more) return undefined
    this.#channels.set(channel, { ...state, phase: 'ready', body: state.body.take() })
    return this.#runReady(channel)
  }

  #runReady(channel: number): void {
    const known = this.#channels.get(channel)
    if (known?.phase !== 'ready' || !this.#mayRun(known.name)) return
    this.#bufferedBytes -= known.body.byteLength
    this.#run(channel, known, known.body)
  }

  /** Whether it has not to wait. Answers of the system are small, and must not wait until an application's have left. */
  #mayRun(name: string): boolean {
    return this.#answerBytes <= answersBeforeWaitingBytes || isSystemProtocol(name)
  }

  #run(channel: number, { name, version, release }: Asked, body: Uint8Array): void {
    const caller = new RequestCaller(this.#session.remotePeer)
    const running: Running = { phase: 'running', name, version, release, caller, ended: undefined }
    this.#channels.set(channel, running)
    void this.#answer(channel, running, body)
  }

  /** Runs the handler and queues its answer. Never rejects. */
  async #answer(channel: number, running: Running, body: Uint8Array): Promise<void> {
    const { name, version, release, caller } = running
    const { outgoing, calls } = this.#session
    try {
      const value = await calls.request({ name, version, value: decodeJson(body) }, caller)
      if (caller.isCalledOff) return
      const answer = encodeJson(value)
      if (answer.byteLength > maxMessageBytes) throw tooLarge('answer')
      if (this.#answerBytes + answer.byteLength > maxAnswerBytes) throw busy()
      this.#answerBytes += answer.byteLength
      const answerBytes = answer.byteLength
      this.#channels.set(channel, { phase: 'answering', name, version, release, answerBytes })
      const onTaken = (): void => this.#answered(channel, answerBytes)
      outgoing.pushMessage({ type: 'response', channel, body: answer, onTaken })
      this.#session.flush()
    } catch (error) {
      if (!caller.isCalledOff) this.#refuse(channel, false, error)
    } finally {
      running.ended?.resolve()
    }
  }

  /**
   * Lets a cancelled handler keep its slot for a while, since it still uses memory; not for ever, or a few that hang would keep
   * out all later requests. Never rejects.
   */
  async #abandon(running: Running): Promise<void> {
    const { name, version, release, caller } = running
    const { clock, log } = this.#session
    const ended = (running.ended = Promise.withResolvers<void>())
    const grace = startDeadline(graceMs, stillRuns, { signal: this.#over.signal, clock })
    caller.callOff(new SpacedockError('cancelled', 'The other device called the request off.'))
    await untilAborted(ended.promise, grace.signal).catch(() => {})
    grace.stop()
    const hangs = grace.signal.aborted && !this.#over.signal.aborted
    if (hangs && this.#forgotten < maxForgotten) {
      log('warn', 'request.still-running', { name, version, calledOffMs: graceMs })
      this.#forgotten++
      release()
      await ended.promise
      this.#forgotten--
    } else {
      await ended.promise
      release()
    }
  }

  #answered(channel: number, answerBytes: number): void {
    const heldBack = this.#answerBytes > answersBeforeWaitingBytes
    this.#answerBytes -= answerBytes
    this.#forget(channel)
    if (!heldBack || this.#answerBytes > answersBeforeWaitingBytes) return
    for (const waiting of this.#channels.keys()) this.#runReady(waiting)
  }

  #refuse(channel: number, more: boolean, error: unknown): void {
    this.#release(channel)
    if (more) this.#channels.set(channel, { phase: 'refused' })
    else this.#forget(channel)
    this.#session.outgoing.pushControl({
      type: 'error',
      more: false,
      channel,
      payload: encodeRemoteError(error),
    })
    this.#session.flush()
  }

  #forget(channel: number): void {
    this.#release(channel)
    this.#channels.delete(channel)
    if (this.isIdle) this.#session.noticeIdle()
  }

  #release(channel: number): void {
    const known = this.#channels.get(channel)
    if (known !== undefined && known.phase !== 'refused') known.release()
  }
}

/** Limit of channels, those being refused included. */
const maxChannels = 2 * (maxInFlight.application + maxInFlight.system)
const graceMs = 30_000
/** Limit of hanging handlers without a slot: further ones keep theirs until they end. */
const maxForgotten = 1_024
const maxBufferedBytes = 16 * 1024 * 1024
const answersBeforeWaitingBytes = 4 * 1024 * 1024
// Limit reached only when very many handlers, started before, finish with large answers at once.
const maxAnswerBytes = 64 * 1024 * 1024

function busy(): SpacedockError {
  return new SpacedockError('remote-failure', 'The other device is busy with too many requests at once.')
}

function stillRuns(): SpacedockError {
  return new SpacedockError('timed-out', 'The handler still runs.')
}

function tooLarge(what: string): SpacedockError {
  return new SpacedockError('too-large', `The ${what} is larger than ${maxMessageBytes} bytes.`)
}
