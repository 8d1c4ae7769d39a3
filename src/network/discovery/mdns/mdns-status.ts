/** State of multicast on one interface; either IP family working is enough. */
export type MdnsStatus =
  | { interface: string; state: 'ready' }
  /** `blocked`: nothing comes back of what is sent. `error`: the system refuses. `detail` is a sentence part for people. */
  | { interface: string; state: 'unavailable'; reason: 'blocked' | 'error'; detail: string }
  /** The interface went away. */
  | { interface: string; state: 'gone' }

/** Last state told of each interface. */
export class ToldStatuses {
  readonly #told = new Map<string, string>()

  interfaces(): string[] {
    return [...this.#told.keys()]
  }

  /** Whether the state is another than the one told last; if so, remembers it. */
  isNews(status: MdnsStatus): boolean {
    const text = JSON.stringify(status)
    if (this.#told.get(status.interface) === text) return false
    if (status.state === 'gone') this.#told.delete(status.interface)
    else this.#told.set(status.interface, text)
    return true
  }

  clear(): void {
    this.#told.clear()
  }
}
