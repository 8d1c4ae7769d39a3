import type { Clock } from '../../api.ts'
export interface LivenessOptions {
  clock: Clock
  /** Sends something that the other side answers at once. */
  ping: () => void
  /** Called once when the other side has been silent for too long. */
  onSilent: () => void
}

/**
 * Notices a peer that is gone without a word: pings when nothing came for three seconds, gives up six seconds later. It
 * also pings when nothing was sent for three seconds, so that a side that only receives stays audible to a sender whose
 * own pings wait behind what it is sending.
 */
export class Liveness {
  readonly #options: LivenessOptions
  #receivedAt: number
  #sentAt: number
  #pingedAt: number | undefined
  #plannedAt = 0
  #graceGiven = false
  #cancelTimer: () => void = () => {}

  constructor(options: LivenessOptions) {
    this.#options = options
    this.#receivedAt = options.clock.monotonic()
    this.#sentAt = this.#receivedAt
    this.#plan(this.#receivedAt + quietMs)
  }

  received(): void {
    this.#receivedAt = this.#options.clock.monotonic()
    this.#graceGiven = false
    if (this.#pingedAt === undefined) return
    this.#pingedAt = undefined
    this.#cancelTimer()
    this.#plan(Math.min(this.#receivedAt, this.#sentAt) + quietMs)
  }

  sent(): void {
    this.#sentAt = this.#options.clock.monotonic()
  }

  stop(): void {
    this.#pingedAt = undefined
    this.#cancelTimer()
  }

  #plan(atMs: number): void {
    const { clock } = this.#options
    this.#plannedAt = atMs
    // At least a little later, also when a timer came a moment too early.
    this.#cancelTimer = clock.after(Math.max(1, atMs - clock.monotonic()), () => this.#check())
  }

  #check(): void {
    const now = this.#options.clock.monotonic()
    if (this.#pingedAt === undefined) {
      const silent = now - this.#receivedAt >= quietMs
      if (silent || now - this.#sentAt >= quietMs) {
        this.#sentAt = now
        if (silent) this.#pingedAt = now
        this.#options.ping()
      }
    } else if (now - this.#pingedAt >= answerMs) {
      const wasSuspended = now - this.#plannedAt > lateMs
      if (!wasSuspended || this.#graceGiven) return this.#options.onSilent()
      // The process slept: the answer may lie unread in the socket.
      this.#graceGiven = true
      this.#pingedAt = now - answerMs + graceMs
      this.#options.ping()
    }
    this.#plan(
      this.#pingedAt === undefined
        ? Math.min(this.#receivedAt, this.#sentAt) + quietMs
        : this.#pingedAt + answerMs,
    )
    return undefined
  }
}

const quietMs = 3_000
const answerMs = 6_000
const lateMs = 1_000
const graceMs = 2_000
