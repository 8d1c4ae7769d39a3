import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import type { Clock } from '../../api.ts'

/** Token bucket of bytes: a long-run rate, and a burst. */
export class ByteAllowance {
  readonly #clock: Clock
  readonly #bytesPerSecond: number
  readonly #burstBytes: number
  #left: number
  #atMs: number

  constructor(clock: Clock, bytesPerSecond: number, burstBytes: number) {
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
    this.#burstBytes = burstBytes
    this.#left = burstBytes
    this.#atMs = clock.monotonic()
  }

  /** Takes the bytes in any case; returns the milliseconds for which nothing more may be taken. */
  take(bytes: number): number {
    const nowMs = this.#clock.monotonic()
    const earned = ((nowMs - this.#atMs) / 1000) * this.#bytesPerSecond
    this.#atMs = nowMs
    this.#left = Math.min(this.#burstBytes, this.#left + earned) - bytes
    return this.#left >= 0 ? 0 : (-this.#left / this.#bytesPerSecond) * 1000
  }
}

export interface MeterOptions {
  clock: Clock
  /** Allowances that the bytes count for: of whoever sends on the stream, and of all together. */
  allowances: readonly ByteAllowance[]
  /** Called with the number of bytes at each arrival. */
  onBytes: (bytes: number) => void
}

/** Backlog above which nothing more is read for a slow receiver. */
const maxBacklogBytes = 1024 * 1024
const backlogCheckMs = 50

/**
 * Meters one direction of a relayed connection, from the stream on which bytes arrive to the one on which they leave. js-libp2p's
 * relay reads without bound from a sender for a receiver that is slow: here the sender is paused instead, as it is when it has
 * used up its allowance. Returns a function that stops it.
 */
export function meter(from: Stream, to: Stream, { clock, allowances, onBytes }: MeterOptions): () => void {
  const holds = new Set<'allowance' | 'backlog'>()
  const timers = new Map<'allowance' | 'backlog', () => void>()
  const send = to.send.bind(to)
  let underWay = 0

  const hold = (reason: 'allowance' | 'backlog', delayMs: number, then: () => void): void => {
    timers.get(reason)?.()
    timers.set(reason, clock.after(delayMs, then))
    holds.add(reason)
    if (from.readStatus === 'readable') from.pause()
  }
  const release = (reason: 'allowance' | 'backlog'): void => {
    timers.get(reason)?.()
    timers.delete(reason)
    holds.delete(reason)
    if (holds.size === 0 && from.readStatus === 'paused') from.resume()
  }
  const checkBacklog = (): void => {
    if (underWay + to.writeBufferLength > maxBacklogBytes) hold('backlog', backlogCheckMs, checkBacklog)
    else if (holds.has('backlog')) release('backlog')
  }
  const onMessage = ({ data }: StreamMessageEvent): void => {
    underWay += data.byteLength
    onBytes(data.byteLength)
    const waitMs = Math.max(...allowances.map((allowance) => allowance.take(data.byteLength)))
    if (waitMs > 0) hold('allowance', waitMs, () => release('allowance'))
    checkBacklog()
  }
  // Bytes that the relay has not passed on yet are in an internal queue of its own, so they are counted here.
  to.send = (data) => {
    underWay = Math.max(0, underWay - data.byteLength)
    return send(data)
  }
  from.addEventListener('message', onMessage)
  return () => {
    from.removeEventListener('message', onMessage)
    for (const cancel of timers.values()) cancel()
    timers.clear()
  }
}
