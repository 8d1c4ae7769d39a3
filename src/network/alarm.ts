import type { Clock } from '../api.ts'
import { pause } from '../clock.ts'

/** Waiting that something else may cut short. A ring while nobody waits cuts the next waiting short. */
export class Alarm {
  readonly #clock: Clock
  #rung = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  ring(): void {
    this.#rung.abort()
  }

  /** Forgets a ring for which nobody waited. */
  clear(): void {
    if (this.#rung.signal.aborted) this.#rung = new AbortController()
  }

  /** Resolves after the delay, at a ring, or when the signal aborts, with whether it was a ring. */
  async wait(delayMs: number, signal: AbortSignal): Promise<boolean> {
    await pause(this.#clock, delayMs, AbortSignal.any([this.#rung.signal, signal]))
    const isRung = this.#rung.signal.aborted
    this.clear()
    return isRung
  }
}
