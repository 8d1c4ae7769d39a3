import { addAbortListener } from 'node:events'
import { untilAborted } from '../abort.ts'
import type { Clock } from '../api.ts'
import { systemClock } from '../clock.ts'

export interface Deadline {
  readonly signal: AbortSignal
  /** Aborts the signal early, for a reason other than time. */
  abort(reason: Error): void
  /** Releases the timer and the listener; the signal does not abort any more. */
  stop(): void
}

export interface DeadlineOptions {
  signal?: AbortSignal | undefined
  clock?: Clock | undefined
}

/** Starts a signal that aborts after `timeoutMs` with `reason()`, or with the caller's signal and its reason. */
export function startDeadline(
  timeoutMs: number,
  reason: () => Error,
  { signal, clock = systemClock }: DeadlineOptions = {},
): Deadline {
  const controller = new AbortController()
  const stop = atDeadline(timeoutMs, reason, (why) => controller.abort(why), { signal, clock })
  const abort = (why: Error): void => {
    stop()
    controller.abort(why)
  }
  return { signal: controller.signal, abort, stop }
}

/**
 * Calls `expired` once: with `reason()` after `timeoutMs`, or with the reason of the caller's signal when that aborts, which may be
 * before this returns. The function returned calls it off. It costs a timer and nothing else where no signal is given.
 */
export function atDeadline(
  timeoutMs: number,
  reason: () => Error,
  expired: (why: unknown) => void,
  { signal, clock = systemClock }: DeadlineOptions = {},
): () => void {
  const cancelTimer = clock.after(timeoutMs, () => expire(reason()))
  const listening =
    signal?.aborted === false ? addAbortListener(signal, () => expire(signal.reason)) : undefined

  function expire(why: unknown): void {
    stop()
    expired(why)
  }
  function stop(): void {
    cancelTimer()
    listening?.[Symbol.dispose]()
  }

  if (signal?.aborted === true) expire(signal.reason)
  return stop
}

/** Resolves when the promise has settled, either way, and after this time at the latest. */
export async function settledWithin(
  timeoutMs: number,
  promise: Promise<unknown>,
  clock: Clock,
): Promise<void> {
  const deadline = startDeadline(timeoutMs, () => new Error('it did not end in time'), { clock })
  await untilAborted(promise, deadline.signal).catch(() => {})
  deadline.stop()
}
