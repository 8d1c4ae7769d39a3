import { SpacedockError } from '../../errors.ts'
import { BoundedBuffer } from '../bounded-buffer.ts'
import type { Frame } from './frames.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import type { OutgoingQueue } from './outgoing-queue.ts'
import { encodeRemoteError } from '../remote-error.ts'
import { decodeRequestHeader, maxMessageBytes } from './request-header.ts'

export interface InboundRequestsOptions {
  outgoing: OutgoingQueue
  flush: () => void
  dispatch: (
    name: string,
    version: number,
    value: unknown,
    options: { signal: AbortSignal },
  ) => Promise<unknown>
  /** Called when nothing is under way any more. */
  onIdle: () => void
}

type Channel =
  | { phase: 'receiving'; name: string; version: number; body: BoundedBuffer }
  /** Was answered with an error before it was complete; the rest of it is dropped. */
  | { phase: 'refused' }
  /** Complete, and waits until some of the answers before it have left. */
  | { phase: 'ready'; name: string; version: number; body: Uint8Array }
  | { phase: 'running'; controller: AbortController }
  | { phase: 'answering'; answerBytes: number }

/** The requests that the other side made: puts them together, has them handled, queues the answers. */
export class InboundRequests {
  readonly #options: InboundRequestsOptions
  readonly #channels = new Map<number, Channel>()
  /** Of requests that are not handled yet. */
  #bufferedBytes = 0
  /** Of answers that have not left yet. */
  #answerBytes = 0
  /** Handlers of cancelled requests that still run: they use memory all the same. */
  #abandoned = 0

  constructor(options: InboundRequestsOptions) {
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#channels.size === 0
  }

  uses(channel: number): boolean {
    return this.#channels.has(channel)
  }

  /** A `request` frame. Throws what ends the session. */
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

  /** A `cancel` frame; it may cross with the answer. */
  cancel(channel: number): void {
    const known = this.#channels.get(channel)
    if (known === undefined) return
    if (known.phase === 'receiving') this.#bufferedBytes -= known.body.length
    if (known.phase === 'ready') this.#bufferedBytes -= known.body.byteLength
    if (known.phase === 'answering') {
      this.#options.outgoing.drop(channel)
      return this.#answered(channel, known.answerBytes)
    }
    this.#forget(channel)
    if (known.phase === 'running') {
      this.#abandoned++
      known.controller.abort(new SpacedockError('cancelled', 'The other device called the request off.'))
    }
  }

  /** The session is over. */
  abortAll(reason: Error): void {
    for (const known of this.#channels.values()) {
      if (known.phase === 'running') known.controller.abort(reason)
    }
    this.#channels.clear()
  }

  #begin(channel: number, payload: Uint8Array, more: boolean): void {
    if (this.#channels.size >= 2 * maxInFlight) {
      throw new SpacedockError(
        'too-large',
        'The other device sends requests faster than they can be refused.',
      )
    }
    const { name, version, rest } = decodeRequestHeader(payload)
    if (this.#channels.size + this.#abandoned >= maxInFlight) return this.#refuse(channel, more, busy())
    const state: Channel = { phase: 'receiving', name, version, body: new BoundedBuffer(maxMessageBytes) }
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
    this.#channels.set(channel, {
      phase: 'ready',
      name: state.name,
      version: state.version,
      body: state.body.take(),
    })
    return this.#runReady(channel)
  }

  #runReady(channel: number): void {
    const known = this.#channels.get(channel)
    if (known?.phase !== 'ready' || this.#answerBytes > answersBeforeWaitingBytes) return
    this.#bufferedBytes -= known.body.byteLength
    const controller = new AbortController()
    this.#channels.set(channel, { phase: 'running', controller })
    void this.#answer(channel, known.name, known.version, known.body, controller.signal)
  }

  /** Never rejects. */
  async #answer(
    channel: number,
    name: string,
    version: number,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { outgoing, dispatch, flush } = this.#options
    try {
      const value = await dispatch(name, version, decodeJson(body), { signal })
      if (signal.aborted) return
      const answer = encodeJson(value)
      if (answer.byteLength > maxMessageBytes) throw tooLarge('answer')
      if (this.#answerBytes + answer.byteLength > maxAnswerBytes) throw busy()
      this.#answerBytes += answer.byteLength
      this.#channels.set(channel, { phase: 'answering', answerBytes: answer.byteLength })
      const onTaken = (): void => this.#answered(channel, answer.byteLength)
      outgoing.pushMessage({ type: 'response', channel, body: answer, onTaken })
    } catch (error) {
      if (signal.aborted) return
      this.#refuse(channel, false, error)
    } finally {
      if (signal.aborted) this.#abandoned--
    }
    flush()
  }

  #answered(channel: number, answerBytes: number): void {
    const heldBack = this.#answerBytes > answersBeforeWaitingBytes
    this.#answerBytes -= answerBytes
    this.#forget(channel)
    if (!heldBack || this.#answerBytes > answersBeforeWaitingBytes) return
    for (const waiting of this.#channels.keys()) this.#runReady(waiting)
  }

  #refuse(channel: number, more: boolean, error: unknown): void {
    if (more) this.#channels.set(channel, { phase: 'refused' })
    else this.#forget(channel)
    this.#options.outgoing.pushControl({
      type: 'error',
      more: false,
      channel,
      payload: encodeRemoteError(error),
    })
    this.#options.flush()
  }

  #forget(channel: number): void {
    this.#channels.delete(channel)
    if (this.isIdle) this.#options.onIdle()
  }
}

/** At the same time, for each session. */
export const maxInFlight = 256
const maxBufferedBytes = 16 * 1024 * 1024
const answersBeforeWaitingBytes = 4 * 1024 * 1024
// Reached only when very many handlers, started before, finish with large answers at once.
const maxAnswerBytes = 64 * 1024 * 1024

function busy(): SpacedockError {
  return new SpacedockError('remote-failure', 'The other device is busy with too many requests at once.')
}

function tooLarge(what: string): SpacedockError {
  return new SpacedockError('too-large', `The ${what} is larger than ${maxMessageBytes} bytes.`)
}
