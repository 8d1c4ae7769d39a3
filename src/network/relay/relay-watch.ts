import type { Connection } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { answers } from './liveness-check.ts'

/** Watches connections to relays: a silent one is closed within half a minute. */
export class RelayWatch {
  readonly #clock: Clock
  readonly #suspicions = new Set<Suspicion>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Checks all connections: one from an address that is gone looks as if nothing had happened. */
  networkChanged(): void {
    for (const suspicion of this.#suspicions) suspicion.raise()
  }

  /** Watches until the signal aborts, which is when the connection is gone. Never rejects. */
  async watch(connection: Connection, signal: AbortSignal): Promise<void> {
    const suspicion = new Suspicion(this.#clock)
    this.#suspicions.add(suspicion)
    while (!signal.aborted) {
      const timeoutMs = (await suspicion.wait(signal)) ? suspectedAnswerMs : answerMs
      if (signal.aborted) break
      if (await answers(connection, { timeoutMs, signal, clock: this.#clock })) continue
      connection.abort(new Error('the relay does not answer'))
    }
    this.#suspicions.delete(suspicion)
  }
}

/** Interval of checks, short enough to keep NAT mappings on the path alive. */
export const checkMs = 15_000
const answerMs = 10_000
const suspectedAnswerMs = 2_000

/** Time of the next check of a connection, and whether it is under suspicion. */
class Suspicion {
  readonly #sleep: InterruptibleSleep
  #raised = false

  constructor(clock: Clock) {
    this.#sleep = new InterruptibleSleep(clock)
  }

  raise(): void {
    this.#raised = true
    this.#sleep.interrupt()
  }

  /** Resolves when a check is due, with whether there is a reason to doubt the connection. */
  async wait(signal: AbortSignal): Promise<boolean> {
    await this.#sleep.for(checkMs, signal)
    const raised = this.#raised
    this.#raised = false
    return raised
  }
}
