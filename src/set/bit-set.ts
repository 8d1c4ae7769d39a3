/** Set of small numbers, one bit each. */
export class BitSet {
  #words: Uint32Array

  /** `size`: numbers that it has room for from the start; it grows when it must. */
  constructor(size = 32) {
    this.#words = new Uint32Array(Math.ceil(size / 32))
  }

  has(number: number): boolean {
    return (((this.#words[number >>> 5] ?? 0) >>> (number & 31)) & 1) === 1
  }

  add(number: number): void {
    this.#grow((number >>> 5) + 1)
    this.#words[number >>> 5] = (this.#words[number >>> 5] ?? 0) | (1 << (number & 31))
  }

  addAll(other: BitSet): void {
    this.#grow(other.#words.length)
    for (const [index, word] of other.#words.entries()) this.#words[index] = (this.#words[index] ?? 0) | word
  }

  /** Keeps what is in both. */
  keep(other: BitSet): void {
    for (const [index, word] of this.#words.entries()) this.#words[index] = word & (other.#words[index] ?? 0)
  }

  copy(): BitSet {
    const copy = new BitSet(0)
    copy.#words = this.#words.slice()
    return copy
  }

  *[Symbol.iterator](): Generator<number> {
    for (const [index, word] of this.#words.entries()) {
      for (let rest = word; rest !== 0; rest &= rest - 1) yield index * 32 + 31 - Math.clz32(rest & -rest)
    }
  }

  #grow(words: number): void {
    if (words <= this.#words.length) return
    const wider = new Uint32Array(Math.max(words, 2 * this.#words.length))
    wider.set(this.#words)
    this.#words = wider
  }
}
