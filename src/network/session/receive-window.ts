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
 * Window of a byte stream: what the other side may have sent and the application not read yet. It doubles when the application reads
 * more than it holds in two round trips, for then it is the window that holds up the sender, and shrinks by a quarter when it reads far
 * less. A slow reader never has more than the first one.
 */
export class ReceiveWindow {
  readonly #budget: WindowBudget
  readonly #times: PathTimes
  #bytes = initialWindowBytes
  /** Bytes that were read since then. */
  #readBytes = 0
  #sinceMs: number
  #roundTripMs: number | undefined

  constructor(budget: WindowBudget, times: PathTimes) {
    this.#budget = budget
    this.#times = times
    this.#sinceMs = times.nowMs()
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Part that may be missing, neither unread nor allowed, before credit for it is due: more often would cost, less often hold up. */
  get dueBytes(): number {
    return Math.max(this.#bytes / 4, Math.min(this.#bytes / 2, usualDueBytes))
  }

  /** Takes note of what was read since the last time. Called when credit is due. */
  adapt(readBytes: number): void {
    this.#readBytes += readBytes
    this.#roundTripMs ??= this.#times.roundTripMs()
    const spanMs = Math.max(leastMs, 2 * (this.#roundTripMs ?? 0))
    const nowMs = this.#times.nowMs()
    const tookMs = nowMs - this.#sinceMs
    // What is read at a stroke says how fast the application is, and nothing of the sender.
    if (tookMs < spanMs) return
    const readInSpan = (this.#readBytes * spanMs) / tookMs
    this.#readBytes = 0
    this.#sinceMs = nowMs
    if (readInSpan > this.#bytes) this.#grow()
    else if (readInSpan * 8 < this.#bytes) this.#shrink()
  }

  /** Gives back all but the first window: nothing more comes. */
  close(): void {
    if (this.#bytes > initialWindowBytes) this.#budget.giveBack(this.#bytes - initialWindowBytes)
    this.#bytes = initialWindowBytes
  }

  #grow(): void {
    // The one before may have been long because much was on its way.
    this.#roundTripMs = this.#times.roundTripMs()
    const grownBytes = Math.min(largestWindowBytes, 2 * this.#bytes)
    if (this.#budget.take(grownBytes - this.#bytes)) this.#bytes = grownBytes
  }

  /** Gives back what is missing just now, so that no more is unread or allowed than the smaller window. */
  #shrink(): void {
    const shrunkBytes = Math.max(initialWindowBytes, Math.ceil((3 * this.#bytes) / 4))
    this.#budget.giveBack(this.#bytes - shrunkBytes)
    this.#bytes = shrunkBytes
  }
}

/** Time whose bytes a window holds at least, since processes wait for their turn. What is said meanwhile waits for no more than twice that. */
const leastMs = 4
const usualDueBytes = 512 * 1024
