import { SpacedockError } from '../../errors.ts'
import { untilAborted } from '../../abort.ts'
import { Semaphore } from '../../semaphore.ts'
import { startDeadline } from '../deadline.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import type { Call } from './call.ts'
import { type RequestHeader, encodeRequest, maxSingleFrameTextBytes } from './request-header.ts'
import type { SessionCarrier } from './session-carrier.ts'

/** Kind of events: the frames of applications' and of the system's differ. */
export interface EventFrames {
  /** Queues one event; calls `onTaken` when it leaves. */
  send(body: Uint8Array, onTaken: () => void): void
  /** Queues the grant of credit for so many more bytes. */
  grant(bytes: number): void
}

interface Waiting {
  body: Uint8Array
  sent: PromiseWithResolvers<void>
}

/** Events both ways with credit of their own: a slow handler delays those of the same window, and nothing else. */
export class EventWindow {
  readonly #session: SessionCarrier
  readonly #frames: EventFrames
  /** Events without credit yet. */
  readonly #waiting = new Set<Waiting>()
  /** Events in the queue of the session. */
  readonly #leaving = new Set<Waiting>()
  #unsentBytes = 0
  #credit = windowBytes
  /** Remaining credit of the other side. */
  #allowedBytes = windowBytes
  #handledBytes = 0
  /** Received events: those of the same name and version one after the other. */
  readonly #handling = new Semaphore(1)
  readonly #over = new AbortController()

  constructor(session: SessionCarrier, frames: EventFrames) {
    this.#session = session
    this.#frames = frames
  }

  get isIdle(): boolean {
    return this.#unsentBytes === 0
  }

  emit({ name, version, value }: Call): Promise<void> {
    const text = encodeJson(value)
    if (text.byteLength > maxSingleFrameTextBytes) {
      throw new SpacedockError('too-large', `The event is larger than ${maxSingleFrameTextBytes} bytes.`)
    }
    const body = encodeRequest(name, version, text)
    if (this.#unsentBytes + costOf(body) > maxUnsentBytes) {
      throw new SpacedockError('too-large', 'The other device does not take events as fast as they are sent.')
    }
    const waiting = { body, sent: Promise.withResolvers<void>() }
    this.#unsentBytes += costOf(body)
    this.#waiting.add(waiting)
    this.#send()
    return waiting.sent.promise
  }

  /** Handles an event. Throws an error that ends the session. */
  receive({ name, version, rest }: RequestHeader, payloadBytes: number): void {
    const cost = payloadBytes + perEventBytes
    if (cost > this.#allowedBytes) {
      throw new SpacedockError('too-large', 'The other device sent more events than it had credit for.')
    }
    this.#allowedBytes -= cost
    const event = { name, version, rest: rest.slice() }
    const handling = this.#handling.run(() => this.#handle(event), { key: `${name}/${version}` })
    void handling.then(() => this.#handled(cost))
  }

  /** Takes credit. Throws an error that ends the session. */
  receiveCredit(bytes: number): void {
    this.#credit += bytes
    if (bytes === 0 || this.#credit > windowBytes) {
      throw new SpacedockError('invalid-message', 'The other device gave a credit that makes no sense.')
    }
    this.#send()
  }

  /** Rejects all unsent events when the session is over. */
  end(reason: Error): void {
    this.#over.abort(reason)
    for (const { sent } of [...this.#leaving, ...this.#waiting]) sent.reject(reason)
    this.#leaving.clear()
    this.#waiting.clear()
  }

  #send(): void {
    for (const waiting of this.#waiting) {
      const { body } = waiting
      if (costOf(body) > this.#credit) break
      this.#credit -= costOf(body)
      this.#frames.send(body, () => this.#sent(waiting))
      this.#waiting.delete(waiting)
      this.#leaving.add(waiting)
    }
    this.#session.flush()
  }

  #sent(waiting: Waiting): void {
    this.#leaving.delete(waiting)
    this.#unsentBytes -= costOf(waiting.body)
    waiting.sent.resolve()
    if (this.isIdle) this.#session.noticeIdle()
  }

  /** Never rejects. */
  async #handle({ name, version, rest }: RequestHeader): Promise<void> {
    if (this.#over.signal.aborted) return
    const { clock, calls, remotePeer: peerId } = this.#session
    const deadline = startDeadline(handleTimeoutMs, timedOut, { signal: this.#over.signal, clock })
    const { signal } = deadline
    try {
      const handling = calls.event({ name, version, value: decodeJson(rest) }, { peerId, signal })
      await untilAborted(handling, signal)
    } catch {
      // Events have no answer; the application's own log has the failure.
    } finally {
      deadline.stop()
    }
  }

  #handled(cost: number): void {
    this.#handledBytes += cost
    if (this.#handledBytes < windowBytes / 2 || this.#over.signal.aborted) return
    this.#allowedBytes += this.#handledBytes
    this.#frames.grant(this.#handledBytes)
    this.#handledBytes = 0
    this.#session.flush()
  }
}

/** Window of each side: its credit at the start, and the most that it has under way. */
const windowBytes = 256 * 1024
/** Limit of events accepted by `emit` and not sent yet. */
const maxUnsentBytes = 1024 * 1024
/** Cost added to each payload, so that very many tiny events are not free. */
const perEventBytes = 256
const handleTimeoutMs = 30_000

function costOf(payload: Uint8Array): number {
  return payload.byteLength + perEventBytes
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The event was not handled in time.')
}
