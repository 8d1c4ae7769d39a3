/** Inputs for decoders: right ones that were damaged, and noise. Deterministic for a seed. */
export class FuzzInput {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1): mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.below(values.length)]
    if (value === undefined) throw new Error('nothing to pick from')
    return value
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  /** A right input after a few accidents; now and then noise of the same size. */
  damaged(examples: readonly Uint8Array[]): Uint8Array {
    let bytes = this.pick(examples)
    if (this.below(20) === 0) return this.bytes(this.below(bytes.length * 2 + 10))
    for (let accident = this.below(4); accident >= 0; accident--) bytes = this.#accident(bytes, examples)
    return bytes
  }

  text(examples: readonly string[]): string {
    const encoder = new TextEncoder()
    return new TextDecoder().decode(this.damaged(examples.map((example) => encoder.encode(example))))
  }

  /** Bytes in pieces, as a network may bring them. */
  pieces(bytes: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = []
    for (let start = 0; start < bytes.length;) {
      const end = Math.min(bytes.length, start + 1 + this.below(this.pick([1, 4, 64, 70_000])))
      pieces.push(bytes.subarray(start, end))
      start = end
    }
    return pieces
  }

  #accident(bytes: Uint8Array, examples: readonly Uint8Array[]): Uint8Array {
    const at = this.below(bytes.length + 1)
    const to = Math.min(bytes.length, at + this.below(40))
    switch (this.below(8)) {
      case 0:
        return bytes.length === 0 ? bytes : bytes.with(Math.min(at, bytes.length - 1), this.below(256))
      case 1:
        return bytes.length === 0
          ? bytes
          : bytes.with(Math.min(at, bytes.length - 1), (bytes[at] ?? 0) ^ (1 << this.below(8)))
      case 2:
        return joined(bytes.subarray(0, at), bytes.subarray(to))
      case 3:
        return joined(bytes.subarray(0, to), bytes.subarray(at))
      case 4:
        return bytes.subarray(0, at)
      case 5: {
        const other = this.pick(examples)
        return joined(bytes.subarray(0, at), other.subarray(this.below(other.length + 1)))
      }
      case 6:
        return joined(bytes.subarray(0, at), this.bytes(1 + this.below(8)), bytes.subarray(at))
      default:
        return joined(bytes.subarray(0, at), this.pick(tokens), bytes.subarray(at))
    }
  }
}

/** What has hurt decoders before. */
const tokens = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  'null',
  'true',
  '-0',
  '1e999',
  '0x1',
  '1'.repeat(400),
  '{"a":1,"a":2}',
  '"__proto__":{"polluted":1},',
  '"constructor":1,',
  '"type":"Complete",',
  '"type":"Challenge",',
  '\\u0000',
  '\\ud800',
  '[['.repeat(500),
  '{"a":'.repeat(300),
  `${'['.repeat(200)}1${']'.repeat(200)}`,
  ' '.repeat(5_000),
  '\u0000',
  '\ufeff',
  '\u202e',
  '\n',
  '\r\n',
  '\u001b[31m',
]
  .map((token) => new TextEncoder().encode(token)) // prettier-ignore
  .concat([
    Uint8Array.of(0xff),
    Uint8Array.of(0xc0, 0x80),
    Uint8Array.of(0xed, 0xa0, 0x80),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0xc0, 0x0c),
  ])

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
