import { fields } from '../../src/pairing/fields.ts'
import type { Suite } from '../../src/pairing/suite.ts'

/**
 * Cheap and deterministic cryptography for the exploration: a 128-bit mixing function in place of every hash, multiplication
 * modulo a prime in place of X25519, a tag beside the plaintext in place of the AEAD. Nobody in the model breaks it, because
 * nobody in the model computes anything but what the protocol lets it compute.
 */
export const fakeSuite: Suite = {
  name: 'fake',
  hash: (data) => mix(0, data),
  mac: (key, data) => mix(1, fields(key, data)),
  extract: (salt, input) => mix(2, fields(salt, input)),
  expand: (key, info, length) => mix(3, fields(key, info)).slice(0, length),
  publicShare: (secret) => toBytes((toNumber(secret) * base) % prime),
  sharedSecret(secret, share) {
    const shared = (toNumber(secret) * toNumber(share)) % prime
    return shared === 0n ? null : toBytes(shared)
  },
  seal(key, plaintext, associatedData) {
    const sealed = new Uint8Array(plaintext.length + tagLength)
    sealed.set(plaintext)
    sealed.set(tagOf(key, plaintext, associatedData), plaintext.length)
    return sealed
  },
  open(key, sealed, associatedData) {
    const plaintext = sealed.slice(0, -tagLength)
    const tag = sealed.slice(-tagLength)
    const expected = tagOf(key, plaintext, associatedData)
    return tag.every((byte, index) => byte === expected[index]) ? plaintext : null
  },
}

/** 32 bytes that differ for different names, in place of randomness. */
export function fixedBytes(name: string): Uint8Array {
  return mix(4, new TextEncoder().encode(name))
}

/** Eight characters that stand for the bytes in the text of a state; 96 bits. */
export function digest(data: Uint8Array): string {
  const [a, b, c] = lanes(5, data)
  return String.fromCharCode(a >>> 16, a & 0xffff, b >>> 16, b & 0xffff, c >>> 16, c & 0xffff)
}

const tagLength = 16
const prime = 2n ** 127n - 1n
const base = 0x1d8f_2b6c_95e3_47a1_0c39n

function tagOf(key: Uint8Array, plaintext: Uint8Array, associatedData: Uint8Array): Uint8Array {
  return mix(6, fields(key, plaintext, associatedData)).slice(0, tagLength)
}

function mix(domain: number, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(32)
  const view = new DataView(result.buffer)
  for (const [index, lane] of lanes(domain, data).entries()) {
    view.setUint32(index * 4, lane)
    view.setUint32(16 + index * 4, Math.imul(lane ^ 0x5bd1_e995, 0x9e37_79b1) >>> 0)
  }
  return result
}

/** Four lanes of MurmurHash3's 32-bit mixer, each with its own multiplier, stirred into each other at the end. */
function lanes(domain: number, data: Uint8Array): [number, number, number, number] {
  let [a, b, c, d] = [domain ^ 0x239b_961b, domain ^ 0xab0e_9789, domain ^ 0x38b3_4ae5, domain ^ 0xa1e3_8b93]
  for (const byte of data) {
    a = Math.imul(rotate(a ^ byte, 13), 0xcc9e_2d51) + 0x561c_cd1b
    b = Math.imul(rotate(b ^ byte, 15), 0x1b87_3593) + 0x0bca_a747
    c = Math.imul(rotate(c ^ byte, 17), 0x85eb_ca6b) + 0x96cd_1c35
    d = Math.imul(rotate(d ^ byte, 19), 0xc2b2_ae35) + 0x32ac_3b17
  }
  a += b + c + d + data.length
  return [finish(a), finish(b + a), finish(c + a), finish(d + a)]
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

function finish(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function toNumber(bytes: Uint8Array): bigint {
  let result = 0n
  for (const byte of bytes.subarray(16)) result = (result << 8n) | BigInt(byte)
  return result % prime
}

function toBytes(number: bigint): Uint8Array {
  const hex = number.toString(16).padStart(64, '0')
  return Uint8Array.from(hex.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16))
}
