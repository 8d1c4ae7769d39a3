/**
 * Work for each of many keys that never overlaps for one of them: wanted while it runs, it runs once more afterwards. It
 * begins when the turn of the event loop in which it was wanted is over, so whatever is wanted in one turn is one run.
 */
export class OneAtATime {
  readonly #running = new Map<string, { again: boolean }>()
  readonly #work: (key: string) => Promise<'done' | 'again'>

  /** @param work must not reject */
  constructor(work: (key: string) => Promise<'done' | 'again'>) {
    this.#work = work
  }

  want(key: string): void {
    const running = this.#running.get(key)
    if (running === undefined) void this.#run(key)
    else running.again = true
  }

  async #run(key: string): Promise<void> {
    const state = { again: true }
    this.#running.set(key, state)
    while (state.again) {
      await Promise.resolve()
      state.again = false
      if ((await this.#work(key)) === 'again') state.again = true
    }
    this.#running.delete(key)
  }
}
