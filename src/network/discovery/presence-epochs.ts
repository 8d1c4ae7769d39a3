import type { Clock } from '../../api.ts'
import { presenceEpoch, presenceEpochMs } from '../../pairing/presence-keys.ts'

/** Watch for the end of each epoch, with which the keys of all records change. */
export class PresenceEpochs {
  readonly #clock: Clock
  readonly #onEpoch: () => void
  #epoch: number | null = null
  #cancel: () => void = () => {}

  /** @param onEpoch - called when the keys have changed */
  constructor(clock: Clock, onEpoch: () => void) {
    this.#clock = clock
    this.#onEpoch = onEpoch
  }

  start(): void {
    this.#epoch = presenceEpoch(this.#clock.wall())
    this.#watch()
  }

  stop(): void {
    this.#epoch = null
    this.#cancel()
  }

  /** Follows a change of epoch that no timer has told: a timer stands still while the machine sleeps, and a clock may be set. */
  check(): void {
    const epoch = presenceEpoch(this.#clock.wall())
    if (this.#epoch === null || epoch === this.#epoch) return
    this.#epoch = epoch
    this.#onEpoch()
  }

  #watch(): void {
    const leftMs = presenceEpochMs - (this.#clock.wall() % presenceEpochMs)
    this.#cancel = this.#clock.after(leftMs, () => {
      this.check()
      this.#watch()
    })
  }
}
