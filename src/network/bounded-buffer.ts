/**
 * Collects bytes up to a cap. It copies: a one-byte view would otherwise keep alive the whole packet it came in, and a
 * peer that sends a byte at a time could hold far more memory than the cap.
 */
export class BoundedBuffer {
  readonly #maxBytes: number
  #bytes = new Uint8Array(0)
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get length(): number {
    return this.#length
  }

  /** Returns false, and drops the chunk, when it would exceed the cap. */
  append(chunk: Uint8Array): boolean {
    const length = this.#length + chunk.byteLength
    if (length > this.#maxBytes) return false
    if (length > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(length, this.#bytes.byteLength * 2)))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(chunk, this.#length)
    this.#length = length
    return true
  }

  /** Returns the collected bytes and empties the buffer. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length)
    this.#bytes = new Uint8Array(0)
    this.#length = 0
    return taken
  }
}
