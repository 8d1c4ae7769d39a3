import { SpacedockError } from '../../errors.ts'
import { BoundedBuffer } from '../bounded-buffer.ts'
import { asError } from '../../abort.ts'
import { atDeadline } from '../deadline.ts'
import type { Call } from './call.ts'
import type { Frame } from './frames.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import { decodeRemoteError } from './remote-error.ts'
import { encodeRequest, isProtocolVersion, maxMessageBytes, protocolNamePattern } from './request-header.ts'
import { classOf, RequestSlots } from './request-slots.ts'
import type { SessionCarrier } from './session-carrier.ts'

export interface SessionRequestOptions {
  signal?: AbortSignal
  /** Timeout of the answer. @default 30_000 */
  timeoutMs?: number
}

interface Pending {
  name: string
  body: Uint8Array
  /** Channel and slot, once it has left the line. */
  underWay: { channel: number; release: () => void } | undefined
  /** Parts of an answer of several frames. */
  answer: BoundedBuffer | undefined
  /** Ends the watch over its time and its signal. */
  unwatch: () => void
  resolve: (value: unknown) => void
  reject: (error: Error) => void
}

/** Requests of this side. As many as the other side accepts are under way; the rest wait their turn. */
export class OutboundRequests {
  readonly #session: SessionCarrier
  /** Waiting requests by name: the names take turns. */
  readonly #waiting = new Map<string, Set<Pending>>()
  readonly #slots = new RequestSlots()
  readonly #channels = new Map<number, Pending>()
  /** Bytes of requests without an answer yet. */
  readonly #bytesInFlight = { application: 0, system: 0 }

  constructor(session: SessionCarrier) {
    this.#session = session
  }

  get isIdle(): boolean {
    return this.#channels.size === 0 && this.#waiting.size === 0
  }

  /** Sends a request. Throws, or rejects with the other side's error, `too-large`, `timed-out`, `interrupted`, or the signal's reason. */
  request(
    { name, version, value }: Call,
    { signal, timeoutMs = requestTimeoutMs }: SessionRequestOptions = {},
  ): Promise<unknown> {
    if (!protocolNamePattern.test(name) || !isProtocolVersion(version)) {
      throw new SpacedockError('invalid-argument', `${name} ${version} is not a protocol name and version.`)
    }
    signal?.throwIfAborted()
    const text = encodeJson(value)
    if (text.byteLength > maxMessageBytes) {
      throw new SpacedockError('too-large', `The request is larger than ${maxMessageBytes} bytes.`)
    }
    const timedOut = (): Error =>
      new SpacedockError('timed-out', `The other device did not answer within ${timeoutMs / 1000} s.`)
    const body = encodeRequest(name, version, text)
    return new Promise<unknown>((resolve, reject) => {
      const pending: Pending = {
        name,
        body,
        underWay: undefined,
        answer: undefined,
        unwatch: () => {},
        resolve,
        reject,
      }
      const callOff = (why: unknown): void => this.#callOff(pending, asError(why))
      pending.unwatch = atDeadline(timeoutMs, timedOut, callOff, { signal, clock: this.#session.clock })
      // The value's own toJSON may have aborted it.
      if (signal?.aborted === true) return
      // Whoever waits is first; most often nobody does.
      if (this.#waiting.size === 0 && this.#start(pending)) return
      const line = this.#waiting.get(name) ?? new Set()
      this.#waiting.set(name, line.add(pending))
      this.#startWaiting()
    })
  }

  /** Handles a `response` frame. One for a cancelled request is ignored: the two may have crossed. */
  receiveResponse({ channel, payload, more }: Frame): void {
    const pending = this.#channels.get(channel)
    if (pending === undefined) return
    if (!more && pending.answer === undefined) return this.#answered(channel, pending, payload)
    pending.answer ??= new BoundedBuffer(maxMessageBytes)
    if (!pending.answer.append(payload)) {
      this.#callOff(
        pending,
        new SpacedockError('too-large', `The answer is larger than ${maxMessageBytes} bytes.`),
      )
      return
    }
    if (!more) this.#answered(channel, pending, pending.answer.take())
  }

  /** Handles an `error` frame. */
  receiveError({ channel, payload }: Frame): void {
    const pending = this.#channels.get(channel)
    if (pending === undefined) return
    this.#finish(channel, pending)
    pending.reject(decodeRemoteError(payload))
  }

  /** Rejects all requests when the session is over. */
  rejectAll(reason: Error): void {
    const all = [...this.#channels.values(), ...[...this.#waiting.values()].flatMap((line) => [...line])]
    this.#channels.clear()
    this.#waiting.clear()
    for (const pending of all) {
      pending.unwatch()
      pending.reject(reason)
    }
  }

  #answered(channel: number, pending: Pending, text: Uint8Array): void {
    this.#finish(channel, pending)
    try {
      pending.resolve(decodeJson(text))
    } catch (error) {
      pending.reject(
        error instanceof Error ? error : new SpacedockError('invalid-message', 'The answer is not JSON.'),
      )
    }
  }

  /** Sends the request, if there is room for it beside those under way. */
  #start(pending: Pending): boolean {
    const { name, body } = pending
    const release = this.#fits(pending) ? this.#slots.take(name) : undefined
    if (release === undefined) return false
    this.#bytesInFlight[classOf(name)] += body.byteLength
    const channel = this.#session.channels.take()
    pending.underWay = { channel, release }
    this.#channels.set(channel, pending)
    this.#session.outgoing.pushMessage({ type: 'request', channel, body })
    this.#session.flush()
    return true
  }

  #startWaiting(): void {
    // Iteration of a Map reaches entries put back at its end: each name starts one request, until none can.
    for (const [name, line] of this.#waiting) {
      const pending = this.#nextOf(line)
      if (pending === undefined || !this.#start(pending)) continue
      line.delete(pending)
      this.#waiting.delete(name)
      if (line.size > 0) this.#waiting.set(name, line)
    }
  }

  /** Returns the first waiting request that fits beside those under way. */
  #nextOf(line: ReadonlySet<Pending>): Pending | undefined {
    for (const pending of line) if (this.#fits(pending)) return pending
    return undefined
  }

  #fits({ name, body }: Pending): boolean {
    const requestClass = classOf(name)
    const isFull = this.#bytesInFlight[requestClass] >= maxBytesInFlight[requestClass]
    return !isFull || body.byteLength <= alwaysFitsBytes
  }

  #callOff(pending: Pending, reason: Error): void {
    pending.unwatch()
    if (pending.underWay === undefined) {
      const line = this.#waiting.get(pending.name)
      line?.delete(pending)
      if (line?.size === 0) this.#waiting.delete(pending.name)
    } else {
      const { channel } = pending.underWay
      this.#session.outgoing.drop(channel)
      this.#session.outgoing.pushControl({ type: 'cancel', more: false, channel, payload: nothing })
      this.#session.flush()
      this.#finish(channel, pending)
    }
    pending.reject(reason)
    if (this.isIdle) this.#session.noticeIdle()
  }

  #finish(channel: number, pending: Pending): void {
    pending.unwatch()
    this.#session.outgoing.drop(channel)
    this.#channels.delete(channel)
    this.#session.channels.release(channel)
    this.#bytesInFlight[classOf(pending.name)] -= pending.body.byteLength
    pending.underWay?.release()
    this.#startWaiting()
    if (this.isIdle) this.#session.noticeIdle()
  }
}

const requestTimeoutMs = 30_000
// Limits well below what the other side buffers: 8 MiB of large requests, and small ones that need not wait for them. The
// system's own have room beside that for one large request, that of the messages.
const maxBytesInFlight = { application: 8 * 1024 * 1024, system: 1024 * 1024 }
const alwaysFitsBytes = 16 * 1024
const nothing = new Uint8Array(0)
