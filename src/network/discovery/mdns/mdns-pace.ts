import { TokenBucket } from '../../token-bucket.ts'

/**
 * Pace of the packets that are read of each sender. Reading one takes a tenth of a millisecond, so a sender gets at most a
 * hundredth of a core, and what it sends beyond that is dropped before anything is made of it. A hundred devices that start
 * behind one reflector send 400 packets in their first second.
 */
const packetPace = { everyMs: 10, inARow: 400 }
/** Number of senders remembered: more than a network of the usual size (/24) has addresses. */
const maximumSenders = 512

/** Limit of the packets of each sender. */
export class SenderPace {
  readonly #senders = new Map<string, TokenBucket>()

  /** Whether a packet of this sender may be read now; if so, counts it. */
  take(sender: string, nowMs: number): boolean {
    const bucket = this.#senders.get(sender) ?? new TokenBucket(packetPace)
    this.#senders.delete(sender) // moves it to the end of the order
    this.#senders.set(sender, bucket)
    if (this.#senders.size > maximumSenders) {
      const [oldest] = this.#senders.keys()
      if (oldest !== undefined) this.#senders.delete(oldest)
    }
    return bucket.take(nowMs)
  }
}
