/**
 * Limits the bytes in flight when more of byte streams and large messages is sent: to what the connection carries in fifty
 * milliseconds, or in two of its round trips where those are longer. More than that would only wait in buffers of the systems on
 * the way, and later messages behind it. Now and then a ping follows what was sent; its answer tells how much has arrived, and
 * how fast. As BBR does it (draft-ietf-ccwg-bbr), for what one session sends. Times are monotonic milliseconds.
 */
export class CongestionWindow {
  #limitBytes = initialBytes
  #sentBytes = 0
  #arrivedBytes = 0
  #markedBytes = 0
  /** Pings under way, the oldest first. */
  readonly #marks: { sentBytes: number; arrivedBytes: number; sentAtMs: number }[] = []
  /** Delivery rates of the last few answers, in bytes per millisecond. */
  readonly #rates: number[] = []
  #shortestRoundTripMs = Number.POSITIVE_INFINITY

  /** Undefined before the first answer to any ping. */
  get shortestRoundTripMs(): number | undefined {
    return this.#shortestRoundTripMs === Number.POSITIVE_INFINITY ? undefined : this.#shortestRoundTripMs
  }

  /** Bytes that may be sent now besides small messages. */
  get freeBytes(): number {
    return Math.max(0, this.#limitBytes - (this.#sentBytes - this.#arrivedBytes))
  }

  sent(byteLength: number): void {
    this.#sentBytes += byteLength
  }

  /** Whether enough has left since the last mark that another one should follow it. */
  get wantsMark(): boolean {
    const unmarkedBytes = this.#sentBytes - this.#markedBytes
    return unmarkedBytes >= this.#limitBytes / marksInWindow
  }

  /** Marks the bytes sent so far by a ping that follows them. */
  mark(nowMs: number): void {
    this.#markedBytes = this.#sentBytes
    this.#marks.push({ sentBytes: this.#sentBytes, arrivedBytes: this.#arrivedBytes, sentAtMs: nowMs })
  }

  /** Takes the answer to the oldest mark. */
  markAnswered(nowMs: number): void {
    const mark = this.#marks.shift()
    if (mark === undefined) return
    this.#arrivedBytes = mark.sentBytes
    const tookMs = Math.max(shortestMs, nowMs - mark.sentAtMs)
    this.roundTrip(tookMs)
    this.#rates.push((mark.sentBytes - mark.arrivedBytes) / tookMs)
    if (this.#rates.length > keptRates) this.#rates.shift()
    const bytes = Math.max(...this.#rates) * Math.max(usualMs, 2 * this.#shortestRoundTripMs)
    this.#limitBytes = Math.min(mostBytes, Math.max(leastBytes, Math.round(bytes)))
  }

  /** Takes the round trip of a ping that no queued bytes preceded. */
  roundTrip(tookMs: number): void {
    this.#shortestRoundTripMs = Math.min(this.#shortestRoundTripMs, tookMs)
  }
}

const initialBytes = 256 * 1024
/** Smallest window: one frame. */
const leastBytes = 64 * 1024
/** Largest window: what 5 Gbit/s carry in 100 ms. */
const mostBytes = 64 * 1024 * 1024
const usualMs = 50
const marksInWindow = 4
const keptRates = 8
const shortestMs = 0.05
