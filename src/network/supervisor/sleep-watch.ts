import type { Timers } from '../timers.ts'

/**
 * Calls `onWake` after the machine slept: a timer's wall-clock delay is then far longer than planned. (The monotonic clock
 * may stand still during sleep; a corrected wall clock looks the same and costs one needless check.) Returns the stop.
 */
export function watchForSleep(timers: Timers, onWake: () => void): () => void {
  let cancel: () => void
  const watch = (): void => {
    const startedAt = timers.wall()
    cancel = timers.after(intervalMs, () => {
      const overdueMs = timers.wall() - startedAt - intervalMs
      watch()
      if (overdueMs > sleepMs) onWake()
    })
  }
  watch()
  return () => cancel()
}

const intervalMs = 5_000
const sleepMs = 5_000
