import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { x25519PublicKey, x25519SharedSecret } from './curve25519.ts'

/**
 * The cryptography of one pairing, as a value: the machines get it handed in, so that a test can explore every
 * state with cheap deterministic functions in its place.
 */
export interface Suite {
  /** Name of the suite, said in message 1 and bound into the transcript. */
  readonly name: string
  /** Returns 32 bytes. */
  hash(data: Uint8Array): Uint8Array
  /** Returns 32 bytes. */
  mac(key: Uint8Array, data: Uint8Array): Uint8Array
  /** HKDF-Extract, RFC 5869 section 2.2. */
  extract(salt: Uint8Array, input: Uint8Array): Uint8Array
  /** HKDF-Expand, RFC 5869 section 2.3. */
  expand(key: Uint8Array, info: Uint8Array, length: number): Uint8Array
  /** The public share of a 32-byte secret. */
  publicShare(secret: Uint8Array): Uint8Array
  /** Null for a share that leads to the all-zero secret (RFC 7748 section 6.1): abort. */
  sharedSecret(secret: Uint8Array, share: Uint8Array): Uint8Array | null
  seal(key: Uint8Array, plaintext: Uint8Array, associatedData: Uint8Array): Uint8Array
  /** Null when it is not authentic. */
  open(key: Uint8Array, sealed: Uint8Array, associatedData: Uint8Array): Uint8Array | null
}

/** X25519, ChaCha20-Poly1305, SHA-256. */
export const suite1: Suite = {
  name: 'x25519-chacha20poly1305-sha256',
  hash: (data) => sha256(data),
  mac: (key, data) => hmac(sha256, key, data),
  extract: (salt, input) => extract(sha256, input, salt),
  expand: (key, info, length) => expand(sha256, key, info, length),
  publicShare: x25519PublicKey,
  sharedSecret: x25519SharedSecret,
  seal: (key, plaintext, associatedData) => cipher(key, associatedData).encrypt(plaintext),
  open(key, sealed, associatedData) {
    try {
      return cipher(key, associatedData).decrypt(sealed)
    } catch {
      return null
    }
  },
}

/** Cipher with a nonce fixed at zero (RFC 8439 section 2.8): every sealing key is derived for exactly one plaintext. */
function cipher(key: Uint8Array, associatedData: Uint8Array) {
  return chacha20poly1305(key, new Uint8Array(12), associatedData)
}
