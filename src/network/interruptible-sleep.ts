import type { Clock } from '../api.ts'
import { pause } from '../clock.ts'

/** Sleep that something else may cut short. An interrupt while nobody sleeps cuts the next sleep short. */
export class InterruptibleSleep {
  readonly #clock: Clock
  #interrupted = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  interrupt(): void {
    this.#interrupted.abort()
  }

  /** Forgets an interrupt that came while nobody slept. */
  clear(): void {
    if (this.#interrupted.signal.aborted) this.#interrupted = new AbortController()
  }

  /** Sleeps until the delay is over, an interrupt or the signal's abort; resolves with whether it was interrupted. */
  async for(delayMs: number, signal: AbortSignal): Promise<boolean> {
    await pause(this.#clock, delayMs, AbortSignal.any([this.#interrupted.signal, signal]))
    const isInterrupted = this.#interrupted.signal.aborted
    this.clear()
    return isInterrupted
  }
}
