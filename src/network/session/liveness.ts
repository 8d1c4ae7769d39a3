import type { Clock } from '../../api.ts'
/** What is watched, and told what was found. */
export interface LivenessSubject {
  /** Smoothed round trip, in milliseconds; undefined before the first answer. */
  readonly roundTripMs: number | undefined
  /** Sends something that the other side answers at once. */
  askForLife(): void
  /** Takes note that an answer is overdue, or that something was heard again after all. */
  doubtChanged(isDoubtful: boolean): void
  /** Takes note, once, that the other side has been silent for too long. */
  fellSilent(): void
}

/**
 * Detects a silent peer: pings when nothing came for three seconds, doubts it when the answer takes much longer than answers do,
 * gives up six seconds after the ping. It also pings when nothing was sent for three seconds, so that a side that only receives
 * stays audible to a sender whose own pings wait behind what it is sending.
 */
export class Liveness {
  readonly #subject: LivenessSubject
  readonly #clock: Clock
  #receivedAt: number
  #sentAt: number
  #pingedAt: number | undefined
  /** Time at which the answer to the unanswered ping is overdue. */
  #doubtAt = 0
  #plannedAt = 0
  #graceGiven = false
  #isDoubtful = false
  #cancelTimer: () => void = () => {}

  constructor(subject: LivenessSubject, clock: Clock) {
    this.#subject = subject
    this.#clock = clock
    this.#receivedAt = clock.monotonic()
    this.#sentAt = this.#receivedAt
    this.#plan(this.#receivedAt + quietMs)
  }

  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  /** Pings now, since there is reason to doubt that the other side is there. */
  check(): void {
    if (this.#pingedAt !== undefined) return
    this.#pinged(this.#clock.monotonic())
    this.#planNext()
  }

  received(): void {
    this.#receivedAt = this.#clock.monotonic()
    this.#graceGiven = false
    if (this.#pingedAt === undefined) return
    this.#pingedAt = undefined
    this.#planNext()
    this.#doubt(false)
  }

  sent(): void {
    this.#sentAt = this.#clock.monotonic()
  }

  stop(): void {
    this.#pingedAt = undefined
    this.#cancelTimer()
  }

  #pinged(now: number): void {
    this.#sentAt = now
    this.#pingedAt = now
    this.#doubtAt = now + this.#patienceMs()
    this.#subject.askForLife()
  }

  #patienceMs(): number {
    const usualMs = this.#subject.roundTripMs ?? 0
    return Math.min(answerMs - lateMs, Math.max(leastPatienceMs, 4 * usualMs))
  }

  #doubt(isDoubtful: boolean): void {
    if (this.#isDoubtful === isDoubtful) return
    this.#isDoubtful = isDoubtful
    this.#subject.doubtChanged(isDoubtful)
  }

  #plan(atMs: number): void {
    this.#cancelTimer()
    this.#plannedAt = atMs
    // A delay of at least 1 ms, in case a timer fired a moment too early.
    this.#cancelTimer = this.#clock.after(Math.max(1, atMs - this.#clock.monotonic()), () => this.#check())
  }

  #planNext(): void {
    if (this.#pingedAt === undefined) this.#plan(Math.min(this.#receivedAt, this.#sentAt) + quietMs)
    else this.#plan(this.#isDoubtful ? this.#pingedAt + answerMs : this.#doubtAt)
  }

  #check(): void {
    const now = this.#clock.monotonic()
    const wasSuspended = now - this.#plannedAt > lateMs
    if (this.#pingedAt === undefined) {
      if (now - this.#receivedAt >= quietMs) this.#pinged(now)
      else if (now - this.#sentAt >= quietMs) {
        this.#sentAt = now
        this.#subject.askForLife()
      }
    } else if (now - this.#pingedAt >= answerMs) {
      if (!wasSuspended || this.#graceGiven) return this.#subject.fellSilent()
      // The process slept: the answer may lie unread in the socket.
      this.#graceGiven = true
      this.#pinged(now)
      this.#pingedAt = now - answerMs + graceMs
    } else if (now >= this.#doubtAt) {
      if (wasSuspended) this.#doubtAt = now + this.#patienceMs()
      else this.#doubt(true)
    }
    return this.#planNext()
  }
}

export const quietMs = 3_000
const answerMs = 6_000
const lateMs = 1_000
const graceMs = 2_000
/** Shortest patience: longer than one or two retransmissions take. */
const leastPatienceMs = 1_000
