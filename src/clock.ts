import { addAbortListener } from 'node:events'
import { uptime } from 'node:os'
import type { Clock } from './api.ts'

/** Clock of the computer. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  sinceBoot: () => uptime() * 1000,
  after(delayMs, callback) {
    // Clamped because a longer delay than a timer can hold would fire at once.
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), 2_147_483_647))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Resolves after the delay, or as soon as the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const cancel = clock.after(delayMs, () => {
      listening[Symbol.dispose]()
      resolve()
    })
    const listening = addAbortListener(signal, () => {
      cancel()
      resolve()
    })
  })
}
