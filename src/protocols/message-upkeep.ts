import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock, Log } from '../api.ts'
import type { Inbox } from '../store/inbox.ts'
import type { Outbox } from '../store/outbox.ts'
import type { MessageListener } from './messaging-components.ts'

export interface MessageUpkeepParts {
  inbox: Inbox
  outbox: Outbox
  clock: Clock
  log: Log
  /** Ids of messages that are just being sent: it is not known yet whether they arrive. */
  underWay: ReadonlySet<string>
  listener: Pick<MessageListener, 'messageExpired'>
}

/** Takes messages out of the boxes when their time is over, a few at a time: nobody has to wait for it. */
export class MessageUpkeep {
  readonly #parts: MessageUpkeepParts
  #cancelTimer: () => void = () => {}
  #isWorking = false
  #isStopped = false

  constructor(parts: MessageUpkeepParts) {
    this.#parts = parts
  }

  start(): void {
    void this.#work()
  }

  /** Looks anew after a message was queued whose time may be over sooner than the others'. */
  expiryChanged(): void {
    if (!this.#isWorking && !this.#isStopped) this.#planNext()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelTimer()
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    this.#cancelTimer()
    this.#isWorking = true
    const { inbox, log } = this.#parts
    let hasFailed = false
    // The maker of the node may still begin to listen.
    await nextTurn()
    try {
      for (let worked = true; worked && !this.#isStopped;) {
        const pruned = inbox.prune()
        worked = this.#expire() > 0 || pruned > 0
        if (worked) await nextTurn()
      }
    } catch (error) {
      hasFailed = true
      log('error', 'messages.not-kept-up', { error: String(error) })
    } finally {
      this.#isWorking = false
    }
    if (!this.#isStopped) this.#planNext(hasFailed ? afterFailureMs : leastMs)
  }

  #expire(): number {
    const { outbox, underWay, listener, log } = this.#parts
    const expired = outbox.expire((id) => underWay.has(id))
    for (const { id, peerId } of expired) {
      log('info', 'message.expired', { id, peer: peerId })
      listener.messageExpired(id, peerId)
    }
    return expired.length
  }

  #planNext(soonestMs = leastMs): void {
    this.#cancelTimer()
    const untilExpiryMs = this.#parts.outbox.untilExpiry() ?? intervalMs
    const delayMs = Math.min(intervalMs, Math.max(soonestMs, untilExpiryMs))
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => void this.#work())
  }
}

/** Interval of the upkeep, and the longest that an expired message stays when the computer slept over its time. */
const intervalMs = 10 * 60_000
/** Wait while a message that is due is just being sent. */
const leastMs = 100
/** Wait after a failure: most likely the disk is full, and will be for a while. */
const afterFailureMs = 60_000
