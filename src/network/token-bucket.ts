/** Rate limit: once per interval on average; several times in a row after a pause. Times are monotonic. */
export class TokenBucket {
  readonly #everyMs: number
  readonly #inARow: number
  #takenUntilMs = -Infinity

  constructor({ everyMs, inARow }: { everyMs: number; inARow: number }) {
    this.#everyMs = everyMs
    this.#inARow = inARow
  }

  /** Returns whether the event may happen now; if so, counts it. */
  take(nowMs: number): boolean {
    if (this.freeAtMs > nowMs) return false
    this.#takenUntilMs = Math.max(this.#takenUntilMs, nowMs) + this.#everyMs
    return true
  }

  get freeAtMs(): number {
    return this.#takenUntilMs - (this.#inARow - 1) * this.#everyMs
  }
}
