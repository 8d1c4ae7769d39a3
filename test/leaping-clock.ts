import type { Clock } from '../src/api.ts'
import { systemClock } from '../src/clock.ts'

/** The system's clock, until it leaps. */
export class LeapingClock implements Clock {
  #ahead = 0
  readonly #waiting = new Set<{ dueAt: number; ring: () => void }>()

  monotonic(): number {
    return systemClock.monotonic() + this.#ahead
  }

  wall(): number {
    return systemClock.wall() + this.#ahead
  }

  after(delayMs: number, callback: () => void): () => void {
    const stop = systemClock.after(delayMs, () => alarm.ring())
    const alarm = {
      dueAt: this.monotonic() + delayMs,
      ring: () => {
        stop()
        if (this.#waiting.delete(alarm)) callback()
      },
    }
    this.#waiting.add(alarm)
    return () => {
      stop()
      this.#waiting.delete(alarm)
    }
  }

  leap(byMs: number): void {
    this.#ahead += byMs
    for (const alarm of this.#waiting) if (alarm.dueAt <= this.monotonic()) alarm.ring()
  }
}
