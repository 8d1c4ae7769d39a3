import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'

/**
 * Curve25519 by the platform's own cryptography: functions of bytes, as all of `pairing` is, and all that it has from Node. In
 * JavaScript the first of them takes some fifty milliseconds in a process that has just started.
 */

/** Returns the 32 bytes of the Ed25519 public key that belongs to a seed (RFC 8032, section 5.1.5). */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  return publicKeyOf(privateKey(ed25519, seed))
}

/** Returns the 32 bytes of the X25519 public key that belongs to a secret (RFC 7748, section 6.1). */
export function x25519PublicKey(secret: Uint8Array): Uint8Array {
  return publicKeyOf(privateKey(x25519, secret))
}

/** Returns 32 bytes; null for a share that is none, or leads to the all-zero secret, which OpenSSL and BoringSSL both refuse. */
export function x25519SharedSecret(secret: Uint8Array, share: Uint8Array): Uint8Array | null {
  const ours = privateKey(x25519, secret)
  try {
    const theirs = publicKey(x25519, share)
    return Uint8Array.from(diffieHellman({ privateKey: ours, publicKey: theirs }))
  } catch {
    return null // no share, or the all-zero result
  }
}

/** Last byte of the algorithms' identifiers, 1.3.101.110 and 1.3.101.112 (RFC 8410, section 3). */
const x25519 = 110
const ed25519 = 112
const keyLength = 32

/** Private key in PKCS #8 (RFC 8410, section 7): the encoding of 32 bytes begins always in the same way. */
function privateKey(algorithm: number, bytes: Uint8Array): KeyObject {
  const start = [
    0x30,
    0x2e,
    0x02,
    0x01,
    0x00,
    0x30,
    0x05,
    0x06,
    0x03,
    0x2b,
    0x65,
    algorithm,
    0x04,
    0x22,
    0x04,
    0x20,
  ]
  return createPrivateKey({ key: encoded(start, bytes), format: 'der', type: 'pkcs8' })
}

/** Public key as a SubjectPublicKeyInfo (RFC 8410, section 4). */
function publicKey(algorithm: number, bytes: Uint8Array): KeyObject {
  const start = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, algorithm, 0x03, 0x21, 0x00]
  return createPublicKey({ key: encoded(start, bytes), format: 'der', type: 'spki' })
}

function encoded(start: readonly number[], bytes: Uint8Array): Buffer {
  if (bytes.length !== keyLength) throw new TypeError(`a key of ${bytes.length} bytes, not ${keyLength}`)
  return Buffer.concat([Buffer.from(start), bytes])
}

function publicKeyOf(key: KeyObject): Uint8Array {
  return Uint8Array.from(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-keyLength))
}
