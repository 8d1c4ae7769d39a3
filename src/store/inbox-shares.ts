import type { Amount } from './stored-message.ts'

/**
 * Share of one sender in the inbox: it may have as much there as is still free for all. So one alone gets half of it, each that
 * fills its share leaves as much again to the others, and nobody ever finds it taken; and nobody has to know how many senders there
 * are.
 */
export class InboxShares {
  readonly #bounds: Amount

  /** Takes the bounds of the whole inbox. */
  constructor(bounds: Amount) {
    this.#bounds = bounds
  }

  /** Amount that a sender may add that has `held` of the `inAll`. */
  room(held: Amount, inAll: Amount): Amount {
    const freeMessages = this.#bounds.messages - inAll.messages
    const freeBytes = this.#bounds.bytes - inAll.bytes
    return {
      messages: Math.max(0, Math.floor((freeMessages - held.messages + 1) / 2)),
      bytes: Math.max(0, Math.floor((freeBytes - held.bytes) / 2)),
    }
  }

  isOverfull({ messages, bytes }: Amount): boolean {
    return messages > this.#bounds.messages || bytes > this.#bounds.bytes
  }
}

export function fits(amount: Amount, room: Amount): boolean {
  return amount.messages <= room.messages && amount.bytes <= room.bytes
}
