import { addAbortListener } from 'node:events'
import { SpacedockError } from '../../errors.ts'
import type { Deadline } from '../deadline.ts'
import { abortReason } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import type { FramedStream } from './framed-stream.ts'
import type { Frame } from './frames.ts'
import type { PathTimes } from './receive-window.ts'
import type { Clock } from '../../api.ts'

export interface PingOptions {
  signal?: AbortSignal
  /** Timeout of the answer. @default 10_000 */
  timeoutMs?: number
}

export interface PingsOptions {
  framed: FramedStream
  clock: Clock
  /** Called at every answer with the smoothed round trip. */
  onRoundTrip?: ((roundTripMs: number) => void) | undefined
}

interface PendingPing {
  sentAt: number
  deadline: Deadline
  resolve: (roundTripMs: number) => void
  reject: (error: Error) => void
}

/** Measures round trips over a session. A ping carries eight bytes, which the pong repeats. */
export class Pings implements PathTimes {
  readonly #framed: FramedStream
  readonly #clock: Clock
  readonly #pending = new Map<bigint, PendingPing>()
  readonly #onRoundTrip: (roundTripMs: number) => void
  #lastId = 0n
  /** Keepalive ping whose answer nobody awaits; one at a time is enough. */
  #keepalive: { id: bigint; sentAt: number } | undefined
  #smoothedMs: number | undefined
  /** Pings that mark the bytes in flight; their answers come in order. */
  readonly #marks = new Set<bigint>()

  constructor({ framed, clock, onRoundTrip = () => {} }: PingsOptions) {
    this.#framed = framed
    this.#clock = clock
    this.#onRoundTrip = onRoundTrip
  }

  /** Smoothed round trip in milliseconds; undefined before the first answer. */
  get smoothedMs(): number | undefined {
    return this.#smoothedMs
  }

  nowMs(): number {
    return this.#clock.monotonic()
  }

  roundTripMs(): number | undefined {
    if (this.#keepalive === undefined) this.sendKeepalive()
    return this.#framed.congestionWindow.shortestRoundTripMs
  }

  /** Pings; resolves with the milliseconds until the answer. */
  ping({ signal, timeoutMs = pingTimeoutMs }: PingOptions = {}): Promise<number> {
    const id = ++this.#lastId
    return new Promise<number>((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortReason(signal))
      const deadline = startDeadline(timeoutMs, timedOut, { signal, clock: this.#clock })
      this.#pending.set(id, { sentAt: this.#clock.monotonic(), deadline, resolve, reject })
      addAbortListener(deadline.signal, () => {
        this.#pending.delete(id)
        reject(abortReason(deadline.signal))
      })
      this.#send(id)
      return undefined
    })
  }

  sendKeepalive(): void {
    this.#keepalive = { id: ++this.#lastId, sentAt: this.#clock.monotonic() }
    this.#send(this.#keepalive.id)
  }

  /** Called when bytes have left: from time to time a mark follows them. */
  sent(): void {
    const { congestionWindow } = this.#framed
    if (!congestionWindow.wantsMark) return
    const id = ++this.#lastId
    this.#marks.add(id)
    congestionWindow.mark(this.#clock.monotonic())
    this.#send(id)
  }

  answer(ping: Frame): void {
    this.#framed.outgoing.pushControl({ ...ping, type: 'pong', payload: ping.payload.slice() })
    this.#framed.flush()
  }

  receive({ payload }: Frame): void {
    const id = new DataView(payload.buffer, payload.byteOffset).getBigUint64(0)
    if (this.#marks.delete(id)) {
      this.#framed.congestionWindow.markAnswered(this.#clock.monotonic())
      this.#framed.flush()
      // The window may have shrunk, and the bytes in flight may have no mark behind them.
      this.sent()
      return
    }
    const pending = this.#pending.get(id)
    const sentAt = pending?.sentAt ?? (this.#keepalive?.id === id ? this.#keepalive.sentAt : undefined)
    if (sentAt === undefined) return
    this.#pending.delete(id)
    if (this.#keepalive?.id === id) this.#keepalive = undefined
    const roundTripMs = this.#clock.monotonic() - sentAt
    this.#framed.congestionWindow.roundTrip(roundTripMs)
    this.#measured(roundTripMs)
    pending?.deadline.stop()
    pending?.resolve(roundTripMs)
  }

  /** Smooths round trips as TCP does (RFC 6298, 2). */
  #measured(roundTripMs: number): void {
    // An answer that lay in the socket while this machine slept says nothing about the path.
    if (roundTripMs > pingTimeoutMs) return
    const before = this.#smoothedMs
    this.#smoothedMs = before === undefined ? roundTripMs : before + (roundTripMs - before) / 8
    this.#onRoundTrip(this.#smoothedMs)
  }

  /** Rejects all pings when the session is over. */
  rejectAll(reason: Error): void {
    for (const { deadline, reject } of this.#pending.values()) {
      deadline.stop()
      reject(reason)
    }
    this.#pending.clear()
  }

  #send(id: bigint): void {
    const payload = new Uint8Array(8)
    new DataView(payload.buffer).setBigUint64(0, id)
    this.#framed.outgoing.pushControl({ type: 'ping', more: false, channel: 0, payload })
    this.#framed.flush()
  }
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not answer the ping.')
}

const pingTimeoutMs = 10_000
