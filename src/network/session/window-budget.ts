/** Memory that streams may be given beyond their first windows. Those of a session take part in those of the whole process. */
export class WindowBudget {
  readonly #mostBytes: number
  readonly #all: WindowBudget | undefined
  #takenBytes = 0
  #isClosed = false

  constructor(mostBytes: number, all?: WindowBudget) {
    this.#mostBytes = mostBytes
    this.#all = all
  }

  /** Takes so many bytes; returns false, and takes none, where they are not left. */
  take(bytes: number): boolean {
    if (this.#isClosed || this.#takenBytes + bytes > this.#mostBytes || this.#all?.take(bytes) === false)
      return false
    this.#takenBytes += bytes
    return true
  }

  giveBack(bytes: number): void {
    if (this.#isClosed) return
    this.#takenBytes -= bytes
    this.#all?.giveBack(bytes)
  }

  /** Gives all back: the session is over, and what its streams have not read is the application's own. */
  close(): void {
    this.giveBack(this.#takenBytes)
    this.#isClosed = true
  }
}

const mebibyte = 1024 * 1024

/** What a session may have: enough for one stream of 5 Gbit/s over 60 ms, with as much again for what is being read. */
export const sessionWindowBytes = 64 * mebibyte
/** What all sessions of this process may have together. */
export const processWindows = new WindowBudget(256 * mebibyte)
