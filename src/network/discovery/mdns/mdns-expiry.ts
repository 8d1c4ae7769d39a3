import type { Clock } from '../../../api.ts'
import type { PeerTable } from './mdns-peers.ts'

/** Timer that has the table forget what has expired, when it does. */
export class PeerExpiry {
  readonly #peers: PeerTable
  readonly #clock: Clock
  #cancelTimer: (() => void) | undefined
  #atMs = Infinity

  constructor(peers: PeerTable, clock: Clock) {
    this.#peers = peers
    this.#clock = clock
  }

  /** Has the table looked through at this time, unless that happens earlier. */
  arm(atMs: number): void {
    if (atMs >= this.#atMs || atMs === Infinity) return
    this.#cancelTimer?.()
    this.#atMs = atMs
    this.#cancelTimer = this.#clock.after(atMs - this.#clock.monotonic(), () => {
      this.#atMs = Infinity
      this.#peers.expire(this.#clock.monotonic())
      this.arm(this.#peers.nextExpiryAtMs())
    })
  }

  stop(): void {
    this.#cancelTimer?.()
    this.#atMs = Infinity
  }
}
