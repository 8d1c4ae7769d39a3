import type { Clock } from '../api.ts'

/** Time as the network code uses it; tests hand in one that they turn by hand. */
export interface Timers extends Clock {
  /** Runs once, `delayMs` from now; the function returned cancels it. */
  after(delayMs: number, run: () => void): () => void
}

export const systemTimers: Timers = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}
