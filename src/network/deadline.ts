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
  const onAbort = (): void => abort(signal?.reason)

  function abort(why: unknown): void {
    stop()
    controller.abort(why)
  }
  function stop(): void {
    cancelTimer()
    signal?.removeEventListener('abort', onAbort)
  }

  if (signal?.aborted === true) abort(signal.reason)
  else signal?.addEventListener('abort', onAbort, { once: true })
  return { signal: controller.signal, abort, stop }
}

/** Settles as `promise` does, or rejects with the signal's reason if that aborts first. The promise runs on, observed. */
export function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(abortReason(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener('abort', onAbort))
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

/** Returns the reason of an aborted signal, wrapped if it is no Error: callers may abort with anything. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason })
}
