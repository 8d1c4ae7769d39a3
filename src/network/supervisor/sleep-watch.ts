import type { Clock } from '../../api.ts'
/**
 * Calls `onWake` after the computer slept: a timer's wall-clock delay is then far longer than planned. (The monotonic clock
 * may stand still during sleep; a corrected wall clock looks the same and costs one needless check.) Returns the stop.
 */
export function watchForSleep(clock: Clock, onWake: () => void): () => void {
  let cancel: () => void
  const watch = (): void => {
    const startedAt = clock.wall()
    cancel = clock.after(intervalMs, () => {
      const overdueMs = clock.wall() - startedAt - intervalMs
      watch()
      if (overdueMs > sleepMs) onWake()
    })
  }
  watch()
  return () => cancel()
}

const intervalMs = 5_000
const sleepMs = 5_000
