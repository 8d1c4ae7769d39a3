import type { PeerId } from '../pairing/peer-id.ts'
import { Semaphore } from '../semaphore.ts'

/**
 * Runs work for each of many peers, never twice at once for one of them: wanted while it runs, it runs once more afterwards. It
 * begins when the turn of the event loop in which it was wanted is over, so all wishes of one turn are one run.
 */
export class OneAtATime {
  /** Peers whose run has not begun. */
  readonly #wanted = new Set<PeerId>()
  readonly #running = new Semaphore(1)
  readonly #work: (peer: PeerId) => Promise<'done' | 'again'>

  /** @param work must not reject */
  constructor(work: (peer: PeerId) => Promise<'done' | 'again'>) {
    this.#work = work
  }

  want(peer: PeerId): void {
    if (this.#wanted.has(peer)) return
    this.#wanted.add(peer)
    void this.#running.run(() => this.#run(peer), { key: peer })
  }

  async #run(peer: PeerId): Promise<void> {
    this.#wanted.delete(peer)
    if ((await this.#work(peer)) === 'again') this.want(peer)
  }
}
