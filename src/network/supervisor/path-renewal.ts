import type { Clock } from '../../api.ts'
import type { Session } from '../session/session.ts'

export interface PathRenewalOptions {
  clock: Clock
  /** Moves the session to a new connection. Must not reject. */
  renew: () => Promise<void>
}

/**
 * Moves the session in use to a new connection before the relay ends the present one. Where that fails, the session goes on as
 * long as it may, and it is tried again.
 */
export class PathRenewal {
  readonly #options: PathRenewalOptions
  #lastMs = Number.NEGATIVE_INFINITY
  #cancel: () => void = () => {}

  constructor(options: PathRenewalOptions) {
    this.#options = options
  }

  /** Watches the session now in use, in place of the one before. */
  watch(session: Session): void {
    this.stop()
    if (session.budget !== null) this.#look(session)
  }

  stop(): void {
    this.#cancel()
  }

  #look(session: Session): void {
    const { clock, renew } = this.#options
    const now = clock.monotonic()
    if (session.budget?.isRunningOut === true && now - this.#lastMs >= leastIntervalMs) {
      this.#lastMs = now
      void renew()
    }
    this.#cancel = clock.after(lookMs, () => this.#look(session))
  }
}

const lookMs = 1_000
/** Shortest interval: four times a minute at most. */
const leastIntervalMs = 15_000
