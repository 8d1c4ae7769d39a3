/**
 * Processes of one device, by the instances of their hellos. A device that is started anew shows a new one, and the old one never
 * again: when two come back after each other, both run. One alone may be a hello that was slow.
 */
export class InstanceHistory {
  /** Instances in the order in which they were last seen, the newest last; at most eight. */
  #seen: string[] = []
  #returned = new Set<string>()

  /** Takes note of the instance of a new session; returns whether two processes take turns. */
  add(instance: string): boolean {
    if (this.#seen.at(-1) === instance) return false
    const isKnown = this.#seen.includes(instance)
    this.#seen = [...this.#seen.filter((each) => each !== instance), instance].slice(-mostKept)
    if (!isKnown) return false
    this.#returned.add(instance)
    this.#returned = new Set([...this.#returned].filter((each) => this.#seen.includes(each)))
    return this.#returned.size >= 2
  }
}

const mostKept = 8
