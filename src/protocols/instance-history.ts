/** What one hello proved: which process of a device it was, and when that process ran. */
export interface InstanceProof {
  /** Process, by the instance that it made up at its start. */
  instance: string
  /** Monotonic milliseconds before which the proof cannot have been made: it answers a random number that was drawn then. */
  askedAtMs: number
  /** Monotonic milliseconds at which the proof was there. */
  provedAtMs: number
}

/**
 * Processes of one device, by what their hellos proved. One device has one process at a time, and one that is over never comes back:
 * when a process runs after another one that ran after it, both run. Only proofs that follow each other count, from one's end to the
 * next one's beginning, so it does not matter how late any of them arrives.
 */
export class InstanceHistory {
  /** Processes in the order in which they were last seen, the newest last; at most eight. */
  #known: KnownInstance[] = []

  /** Takes note of a proof, in the order in which they were there; returns whether two processes run. */
  add({ instance, askedAtMs, provedAtMs }: InstanceProof): boolean {
    const known = this.#known.find((each) => each.instance === instance)
    const others = this.#known.filter((each) => each !== known)
    for (const other of others) if (askedAtMs > other.knownAtMs) other.followedAtMs ??= provedAtMs
    const isBack = known?.followedAtMs !== undefined && askedAtMs > known.followedAtMs
    // One that came back begins anew: only another one between makes its next return news.
    const kept = known === undefined || isBack ? { instance, knownAtMs: provedAtMs } : known
    this.#known = [...others, kept].slice(-mostKept)
    return isBack
  }
}

interface KnownInstance {
  instance: string
  /** Time at which it had been started. */
  knownAtMs: number
  /** Time at which another one had run after `knownAtMs`. */
  followedAtMs?: number
}

const mostKept = 8
