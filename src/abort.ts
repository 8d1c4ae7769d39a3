import { addAbortListener } from 'node:events'

/** Settles as `promise` does, or rejects with the signal's reason if that aborts first. The promise runs on, observed. */
export async function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const aborted = Promise.withResolvers<never>()
  using _listening = addAbortListener(signal, () => aborted.reject(abortReason(signal)))
  return await Promise.race([promise, aborted.promise])
}

/** Returns the reason of an aborted signal as an Error. */
export function abortReason(signal: AbortSignal): Error {
  return asError(signal.reason)
}

/** Wraps the reason of an abort if it is no Error: callers may abort with anything. */
export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason })
}
