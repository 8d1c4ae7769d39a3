import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { systemClock } from '../../clock.ts'
import { networkOf } from '../addresses/network-of.ts'
import { TokenBucket } from '../token-bucket.ts'

/** Number of inbound connections that may wait for their handshake; beyond it, the network with the most loses its oldest. */
const maxWaiting = 128

export interface InboundTurnsOptions {
  /** Handshakes a second on average; `inARow` of them after a pause. One costs some ten milliseconds of a core. */
  pace: { everyMs: number; inARow: number }
  clock?: Clock
}

interface Waiting {
  readonly admit: (isAdmitted: boolean) => void
}

/**
 * Turns of inbound connections, of which nobody knows yet whose they are: one handshake after the other, at a pace that leaves the
 * device its time, and by turns of the networks (an IPv4 address, or the /64 of an IPv6 address) that they come from.
 */
export class InboundTurns {
  readonly #clock: Clock
  readonly #pace: TokenBucket
  /** By network, in the order of their turns. */
  readonly #waiting = new Map<string, Waiting[]>()
  #count = 0
  #cancelTimer: (() => void) | null = null

  constructor({ pace, clock = systemClock }: InboundTurnsOptions) {
    this.#clock = clock
    this.#pace = new TokenBucket(pace)
  }

  /** Resolves when it is this connection's turn: whether it may go on. */
  turn(address: Multiaddr): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const network = networkOf(address)
    const queue = this.#waiting.get(network) ?? []
    queue.push({ admit: resolve })
    this.#waiting.set(network, queue)
    this.#count++
    if (this.#count > maxWaiting) this.#refuseOldest()
    this.#admitNext()
    return promise
  }

  /** Refuses all that wait. */
  stop(): void {
    this.#cancelTimer?.()
    for (const queue of this.#waiting.values()) for (const { admit } of queue) admit(false)
    this.#waiting.clear()
    this.#count = 0
  }

  #admitNext(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    const [network] = this.#waiting.keys()
    if (network === undefined) return
    const nowMs = this.#clock.monotonic()
    if (this.#pace.take(nowMs)) {
      this.#takeFirst(network)?.admit(true)
      this.#admitNext()
      return
    }
    this.#cancelTimer = this.#clock.after(Math.max(1, this.#pace.freeAtMs - nowMs), () => this.#admitNext())
  }

  #refuseOldest(): void {
    const [fullest] = [...this.#waiting].toSorted(([, one], [, other]) => other.length - one.length)
    if (fullest !== undefined) this.#takeFirst(fullest[0])?.admit(false)
  }

  /** Takes the first of a network, whose turn comes again after those of all others. */
  #takeFirst(network: string): Waiting | undefined {
    const queue = this.#waiting.get(network) ?? []
    const first = queue.shift()
    this.#waiting.delete(network)
    if (queue.length > 0) this.#waiting.set(network, queue)
    if (first !== undefined) this.#count--
    return first
  }
}
