/**
 * Waiting times between tries at something that is to work in the end: exponential from half a second, never more than a
 * minute, with full jitter above the half second, so that many who failed together do not come back together.
 */
export class Backoff {
  readonly #random: () => number
  #failures = 0

  /** @param random - in [0, 1) */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** How many tries have failed since there was hope. */
  get failures(): number {
    return this.#failures
  }

  /** A try has failed: milliseconds until the next. */
  next(): number {
    const ceilingMs = Math.min(longestMs, shortestMs * 2 ** Math.min(this.#failures++, 30))
    return shortestMs + this.#random() * (ceilingMs - shortestMs)
  }

  /** It worked, or there is news: the next waiting time is a short one. */
  reset(): void {
    this.#failures = 0
  }
}

const shortestMs = 500
const longestMs = 60_000
