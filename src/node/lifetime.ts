import { SpacedockError } from '../errors.ts'

/** Whether a node is open, and its end, which comes once. */
export class Lifetime {
  #ending: Promise<void> | undefined

  /** Throws `closed`. */
  requireOpen(): void {
    if (this.#ending === undefined) return
    throw new SpacedockError('closed', 'The node was closed.', { hint: 'Make a new one with createNode().' })
  }

  /** Begins the end, or waits for the one that has begun. */
  end(shutDown: () => Promise<void>): Promise<void> {
    return (this.#ending ??= shutDown())
  }
}
