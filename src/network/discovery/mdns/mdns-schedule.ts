import { TokenBucket } from '../../token-bucket.ts'

/**
 * Schedule of one link's packets. Pure: time and randomness are handed in. Times are monotonic milliseconds.
 *
 * Traffic of 100 devices on one link, as long as nothing gets lost (mdns-quiet.long.test.ts counts it on simulated time):
 * - all starting within a second: about 400 packets in that second (from each a query, its announcement and two answers to the
 *   others), about 630 in the first minute;
 * - then about one query a minute in all, in seven packets (16 known answers fit one), because a host counts another's query as
 *   its own if it asks the same; and one answer from each every three to four minutes, when half of its record's lifetime is
 *   over. Together 0.6 packets a second. (If everybody asked every ten seconds, and everybody answered everybody, it would be a
 *   thousand.)
 */
export class LinkSchedule {
  readonly #random: () => number
  readonly #answers = new TokenBucket(packetPace)
  readonly #queries = new TokenBucket(packetPace)
  #answerAtMs = Infinity
  #repeatAtMs = Infinity
  #queryAtMs = Infinity
  #queryIntervalMs = firstQueryIntervalMs
  #afresh = false

  /** @param random - uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random
  }

  /** Schedules a multicast of our records now, and another a second later, in case the first got lost (RFC 6762, 8.3). */
  announce(nowMs: number): void {
    this.#answerAtMs = Math.min(this.#answerAtMs, nowMs)
    this.#repeatAtMs = nowMs + announcementRepeatMs
  }

  /** Schedules a query to everybody, known peers too, now, and starts over with short intervals. */
  refresh(nowMs: number): void {
    this.#queryIntervalMs = firstQueryIntervalMs
    this.#queryAtMs = nowMs
    this.#afresh = true
  }

  /**
   * Schedules an answer to a querier that does not know us. Answers are spread over 20 to 120 ms (RFC 6762, 6) where there are
   * many to answer, and over less where there are few: two devices alone should not wait for a crowd that is not there.
   */
  questionHeard(nowMs: number, knownPeers: number): void {
    const spread = Math.min(1, knownPeers / crowd)
    const delayMs = spread * shortestCrowdDelayMs + this.#random() * (5 + spread * crowdJitterMs)
    this.#answerAtMs = Math.min(this.#answerAtMs, nowMs + delayMs)
  }

  /** Counts another host's query as ours: its answers will do for us too (RFC 6762, 7.3). */
  sameQuestionHeard(nowMs: number): void {
    if (!this.#afresh) this.#scheduleQuery(nowMs)
  }

  /** Returns what has to be sent now, and counts it as sent. */
  due(nowMs: number): { answer: boolean; query: 'afresh' | 'routine' | undefined } {
    if (this.#repeatAtMs <= nowMs) {
      this.#answerAtMs = Math.min(this.#answerAtMs, nowMs)
      this.#repeatAtMs = Infinity
    }
    const answer = this.#answerAtMs <= nowMs && this.#answers.take(nowMs)
    if (answer) this.#answerAtMs = Infinity
    else if (this.#answerAtMs <= nowMs) this.#answerAtMs = this.#answers.freeAtMs
    if (this.#queryAtMs > nowMs) return { answer, query: undefined }
    if (!this.#queries.take(nowMs)) {
      this.#queryAtMs = this.#queries.freeAtMs
      return { answer, query: undefined }
    }
    const query = this.#afresh ? 'afresh' : 'routine'
    this.#afresh = false
    this.#scheduleQuery(nowMs)
    return { answer, query }
  }

  nextAtMs(): number {
    return Math.min(this.#answerAtMs, this.#repeatAtMs, this.#queryAtMs)
  }

  /**
   * Schedules the next query after 1 s, 2 s, 4 s, ... 64 s, each lengthened by up to a fifth, so that a crowd does not ask in
   * chorus.
   */
  #scheduleQuery(nowMs: number): void {
    this.#queryAtMs = nowMs + this.#queryIntervalMs * (1 + this.#random() / 5)
    this.#queryIntervalMs = Math.min(this.#queryIntervalMs * 2, longestQueryIntervalMs)
  }
}

const firstQueryIntervalMs = 1_000
const longestQueryIntervalMs = 64_000
const announcementRepeatMs = 1_000
/** Number of known peers from which on answers are spread as widely as the RFC says. */
const crowd = 20
const shortestCrowdDelayMs = 20
const crowdJitterMs = 95

/**
 * Packet rate: once a second on average; three times in a row after a silence. The RFC's strict second would make a device that
 * starts right after we announced ourselves wait for it, and that is just when two people sit side by side.
 */
const packetPace = { everyMs: 1_000, inARow: 3 }
