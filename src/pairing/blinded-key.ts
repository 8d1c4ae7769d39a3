import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'

/**
 * Ed25519 keys that change with a factor which both sides know, while only one of them can sign: of a key pair `a`, `A = aB` and a
 * factor `h` the blinded pair is `ha`, `hA`. Signatures are those of RFC 8032, so everybody can check them, and without the factor
 * nothing shows that two blinded keys come from one pair. PROTOCOL.md, "Presence".
 */

const { Point } = ed25519
const { Fn } = Point

export interface BlindedSigner {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** Returns 64 bytes. */
  sign(message: Uint8Array): Uint8Array
}

/** Whether the 32 bytes are a public key whose blinded ones only the owner of its seed can sign for. */
export function isBlindable(publicKey: Uint8Array): boolean {
  try {
    const point = Point.fromBytes(publicKey)
    return point.isTorsionFree() && !point.is0()
  } catch {
    return false
  }
}

/** Returns the blinded public key, 32 bytes. `factor`: 64 bytes, reduced modulo the order of the group. */
export function blindedPublicKey(publicKey: Uint8Array, factor: Uint8Array): Uint8Array {
  return Point.fromBytes(publicKey).multiply(scalarOf(factor)).toBytes()
}

export function blindedSigner(seed: Uint8Array, factor: Uint8Array): BlindedSigner {
  const { scalar, prefix } = ed25519.utils.getExtendedPublicKey(seed)
  const blinded = Fn.mul(scalar, scalarOf(factor))
  const publicKey = Point.BASE.multiply(blinded).toBytes()
  return {
    publicKey,
    sign(message) {
      // The blinded key is in the nonce: one nonce for two factors, which the other side knows, would give the seed's scalar away.
      const nonce = scalarOf(sha512(concat(prefix, publicKey, message)))
      const commitment = Point.BASE.multiply(nonce).toBytes()
      const challenge = scalarOf(sha512(concat(commitment, publicKey, message)))
      const response = Fn.add(nonce, Fn.mul(challenge, blinded))
      return concat(commitment, Fn.toBytes(response))
    },
  }
}

/** Returns 64 little-endian bytes modulo the order. Zero, which no hash will ever be, is no factor. */
function scalarOf(bytes: Uint8Array): bigint {
  const number = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return Fn.create(number)
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
