import type { WindowBudget } from './window-budget.ts'

/** Bytes that each side may send before the first credit. */
export const initialWindowBytes = 256 * 1024
/** Largest window of a stream, for what a link carries in two long round trips. */
export const largestWindowBytes = 64 * 1024 * 1024

/** Times of the way that a session takes. */
export interface PathTimes {
  nowMs(): number
  /** Returns the shortest round trip so far, and has another one measured; undefined before there is one. */
  roundTripMs(): number | undefined
}

/**
 * Window of a byte stream: what the other side may have sent and the application not read yet. It doubles while the application
 * reads more than half of it in a round trip, for then it is the window that holds up the sender, and it halves when the application
 * reads far less than that. A slow reader never has more than the first one.
 */
export class ReceiveWindow {
  readonly #budget: WindowBudget
  readonly #times: PathTimes
  #bytes = initialWindowBytes
  #adaptedAtMs: number
  #roundTripMs: number | undefined

  constructor(budget: WindowBudget, times: PathTimes) {
    this.#budget = budget
    this.#times = times
    this.#adaptedAtMs = times.nowMs()
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Takes note that so many bytes were read since the last time, half of the window at least. */
  adapt(readBytes: number): void {
    const nowMs = this.#times.nowMs()
    const bytesPerMs = readBytes / Math.max(shortestMs, nowMs - this.#adaptedAtMs)
    this.#adaptedAtMs = nowMs
    this.#roundTripMs ??= this.#times.roundTripMs()
    const wantedBytes = bytesPerMs * Math.max(leastMs, 2 * (this.#roundTripMs ?? 0))
    if (wantedBytes > this.#bytes) this.#grow()
    else if (wantedBytes * 8 < this.#bytes) this.#shrink()
  }

  /** Gives back all but the first window: nothing more comes. */
  close(): void {
    if (this.#bytes > initialWindowBytes) this.#budget.giveBack(this.#bytes - initialWindowBytes)
    this.#bytes = initialWindowBytes
  }

  #grow(): void {
    // The one before may have been long because much was on its way.
    this.#roundTripMs = this.#times.roundTripMs()
    if (this.#bytes < largestWindowBytes && this.#budget.take(this.#bytes)) this.#bytes *= 2
  }

  /** Half of it is neither unread nor on its way just now. */
  #shrink(): void {
    if (this.#bytes === initialWindowBytes) return
    this.#bytes /= 2
    this.#budget.giveBack(this.#bytes)
  }
}

/** Time for which a window suffices at least: processes wait for their turn. */
const leastMs = 8
const shortestMs = 0.05
