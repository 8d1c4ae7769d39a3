import type { PeerId } from '../pairing/peer-id.ts'
/**
 * Runs work for each of many peers, never twice at once for one of them: wanted while it runs, it runs once more afterwards. It
 * begins when the turn of the event loop in which it was wanted is over, so all wishes of one turn are one run.
 */
export class OneAtATime {
  readonly #running = new Map<PeerId, { again: boolean }>()
  readonly #work: (peer: PeerId) => Promise<'done' | 'again'>

  /** @param work must not reject */
  constructor(work: (peer: PeerId) => Promise<'done' | 'again'>) {
    this.#work = work
  }

  want(peer: PeerId): void {
    const running = this.#running.get(peer)
    if (running === undefined) void this.#run(peer)
    else running.again = true
  }

  async #run(peer: PeerId): Promise<void> {
    const state = { again: true }
    this.#running.set(peer, state)
    while (state.again) {
      await Promise.resolve()
      state.again = false
      if ((await this.#work(peer)) === 'again') state.again = true
    }
    this.#running.delete(peer)
  }
}
