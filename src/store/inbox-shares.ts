import type { Amount } from './stored-message.ts'

/** Bounds of the whole inbox. */
export type InboxBounds = Amount

/**
 * Share of one sender in the inbox: it may have as much there as is still free for all. So one alone gets half of it, each that
 * fills it leaves half of the rest, and nobody ever finds it taken by another; and nobody has to know how many senders there are.
 */
export class InboxShares {
  readonly #bounds: InboxBounds

  constructor(bounds: InboxBounds) {
    this.#bounds = bounds
  }

  /** Whether a sender that has `held` of it may add something; one delivery may take it beyond its share. */
  hasRoom(held: Amount, inAll: Amount): boolean {
    const free = this.#free(inAll)
    return held.messages < free.messages && held.bytes < free.bytes
  }

  /** Whether a sender has more than it could have come to by adding one message at a time. */
  isExceeded(held: Amount, inAll: Amount): boolean {
    const free = this.#free(inAll)
    return held.messages > free.messages + 1 || held.bytes > Math.max(0, free.bytes)
  }

  isOverfull({ messages, bytes }: Amount): boolean {
    return messages > this.#bounds.messages || bytes > this.#bounds.bytes
  }

  #free(inAll: Amount): Amount {
    return { messages: this.#bounds.messages - inAll.messages, bytes: this.#bounds.bytes - inAll.bytes }
  }
}
