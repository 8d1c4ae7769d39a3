/**
 * Bytes of small writes that wait to be sent, in one piece of memory that grows to what it may hold at most, and is used again and
 * again: a stream of small messages makes no garbage.
 */
export class SmallWrites {
  readonly #mostBytes: number
  #memory = new Uint8Array(0)
  #from = 0
  #to = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  get length(): number {
    return this.#to - this.#from
  }

  fits(bytes: Uint8Array): boolean {
    return this.length + bytes.byteLength <= this.#mostBytes
  }

  /** Appends a copy of bytes that fit. */
  append(bytes: Uint8Array): void {
    if (this.#to + bytes.byteLength > this.#memory.byteLength) this.#makeRoom(this.length + bytes.byteLength)
    this.#memory.set(bytes, this.#to)
    this.#to += bytes.byteLength
  }

  /** Removes up to so many bytes, which are valid until the next call; undefined when there are none. */
  take(mostBytes: number): Uint8Array | undefined {
    if (this.length === 0 || mostBytes <= 0) return undefined
    const taken = this.#memory.subarray(this.#from, Math.min(this.#to, this.#from + mostBytes))
    this.#from += taken.byteLength
    if (this.#from === this.#to) this.#from = this.#to = 0
    return taken
  }

  clear(): void {
    this.#memory = new Uint8Array(0)
    this.#from = this.#to = 0
  }

  #makeRoom(neededBytes: number): void {
    const unread = this.#memory.subarray(this.#from, this.#to)
    if (neededBytes > this.#memory.byteLength) {
      const grownBytes = Math.max(smallestBytes, 2 * neededBytes)
      this.#memory = new Uint8Array(Math.min(this.#mostBytes, grownBytes))
    }
    this.#memory.set(unread)
    this.#from = 0
    this.#to = unread.byteLength
  }
}

const smallestBytes = 512
