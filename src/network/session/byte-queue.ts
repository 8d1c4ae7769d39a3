/**
 * Queue of bytes. It copies into blocks: a one-byte view would otherwise keep alive the whole packet it came in, and very many
 * tiny pieces would cost far more than their bytes.
 */
export class ByteQueue {
  #blocks: { bytes: Uint8Array; from: number; to: number }[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  append(bytes: Uint8Array): void {
    this.#length += bytes.byteLength
    const tail = this.#blocks.at(-1)
    const fitting = tail === undefined ? 0 : Math.min(tail.bytes.byteLength - tail.to, bytes.byteLength)
    if (tail !== undefined && fitting > 0) {
      tail.bytes.set(bytes.subarray(0, fitting), tail.to)
      tail.to += fitting
    }
    const rest = bytes.subarray(fitting)
    if (rest.byteLength === 0) return
    const block = new Uint8Array(Math.max(rest.byteLength, smallestBlockBytes))
    block.set(rest)
    this.#blocks.push({ bytes: block, from: 0, to: rest.byteLength })
  }

  /** Appends bytes that nobody else uses: without a copy, where they are many and have their memory for themselves. */
  adopt(bytes: Uint8Array): void {
    if (bytes.byteLength < smallestBlockBytes || !hasOwnMemory(bytes)) return this.append(bytes)
    this.#length += bytes.byteLength
    this.#blocks.push({ bytes, from: 0, to: bytes.byteLength })
    return undefined
  }

  /** Removes up to so many bytes of the first block, which are the caller's from then on; undefined when there are none. */
  take(maxBytes: number = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    const [head] = this.#blocks
    if (head === undefined || maxBytes <= 0) return undefined
    const taken = head.bytes.subarray(head.from, Math.min(head.to, head.from + maxBytes))
    head.from += taken.byteLength
    this.#length -= taken.byteLength
    if (head.from === head.to) this.#blocks.shift()
    return taken
  }

  clear(): void {
    this.#blocks = []
    this.#length = 0
  }
}

const smallestBlockBytes = 4 * 1024

/**
 * Whether bytes are more than half of their memory: then it is at most twice as much, and no other bytes can say so of the same
 * memory. Who gets bytes may give their memory away.
 */
export function hasOwnMemory(bytes: Uint8Array): boolean {
  return bytes.byteLength * 2 > bytes.buffer.byteLength
}
