import { sha256 } from '@noble/hashes/sha2.js'

/** Returns the same numbers in [0, 1) for the same seed. Mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Derives another seed for each purpose, so that what one of them draws changes nothing for the others. */
export function seedFor(seed: number, purpose: string): number {
  const hash = sha256(new TextEncoder().encode(`${seed}/${purpose}`))
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0)
}

/** Returns bytes for a simulation: the seed gives them all away. */
export function randomBytesOf(random: () => number): (length: number) => Uint8Array {
  return (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256))
}
