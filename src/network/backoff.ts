/**
 * Waiting times between retries of what has to work in the end: exponential from half a second to a minute, with full jitter
 * above the half second, so that peers that failed together do not return together.
 */
export class Backoff {
  readonly #random: () => number
  #failures = 0

  /** @param random - in [0, 1) */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** Number of failures since the last reset. */
  get failures(): number {
    return this.#failures
  }

  /** Counts a failure; returns milliseconds until the next try. */
  next(): number {
    const ceilingMs = Math.min(longestMs, shortestMs * 2 ** Math.min(this.#failures++, 30))
    return shortestMs + this.#random() * (ceilingMs - shortestMs)
  }

  /** Starts over with short waiting times, after a success or news. */
  reset(): void {
    this.#failures = 0
  }
}

const shortestMs = 500
const longestMs = 60_000
