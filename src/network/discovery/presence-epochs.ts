import type { Clock } from '../../api.ts'
import { presenceEpoch, presenceEpochMs } from '../../pairing/presence-keys.ts'

/** Watch for the end of each epoch, with which the keys of all records change. */
export class PresenceEpochs {
  readonly #clock: Clock
  readonly #onEpoch: (epochs: number) => void
  #epoch: number | null = null
  #cancel: () => void = () => {}

  /** @param onEpoch - called when the keys have changed, with the number of epochs: one, unless the clock was set or the machine slept */
  constructor(clock: Clock, onEpoch: (epochs: number) => void) {
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
    const epochs = epoch - this.#epoch
    this.#epoch = epoch
    this.#onEpoch(epochs)
  }

  #watch(): void {
    const leftMs = presenceEpochMs - (this.#clock.wall() % presenceEpochMs)
    this.#cancel = this.#clock.after(leftMs, () => {
      // First the next timer: whatever becomes of this epoch, there is another one.
      this.#watch()
      this.check()
    })
  }
}
