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
  const cancelTimer = clock.after(timeoutMs, () => abort(reason()))
  const listening =
    signal?.aborted === false ? addAbortListener(signal, () => abort(signal.reason)) : undefined

  function abort(why: unknown): void {
    stop()
    controller.abort(why)
  }
  function stop(): void {
    cancelTimer()
    listening?.[Symbol.dispose]()
  }

  if (signal?.aborted === true) abort(signal.reason)
  return { signal: controller.signal, abort, stop }
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
