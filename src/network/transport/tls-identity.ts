import { timingSafeEqual } from 'node:crypto'
import { expand } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { base64urlnopad } from '@scure/base'
import { fields } from '../../pairing/fields.ts'

/**
 * Keys by which two paired devices speak TLS, and the name by which the side that dials says which of them it means: PROTOCOL.md,
 * "Sessions over TLS". The name is sent in clear; who lacks the pair key can neither tell whose it is nor that two are the same
 * device's. Pure.
 */

/** Peer ids, as multihash bytes. */
export interface TlsEnds {
  dialer: Uint8Array
  listener: Uint8Array
}

/** Identity of a pre-shared key, as it is sent. */
export interface TlsIdentity {
  nonce: Uint8Array
  mac: Uint8Array
}

/** Makes and knows the identities of one pair key in one direction. */
export class TlsIdentities {
  /** MAC with its key already taken in: a listener computes one for each of its devices. */
  readonly #mac: ReturnType<typeof hmac.create>

  constructor(pairKey: Uint8Array, ends: TlsEnds) {
    this.#mac = hmac.create(sha256, deriveIdentityKey(pairKey, ends))
  }

  /** @param nonce - 16 fresh random bytes */
  encode(nonce: Uint8Array): string {
    return base64urlnopad.encode(Uint8Array.of(identityVersion, ...nonce, ...this.#macOf(nonce)))
  }

  includes({ nonce, mac }: TlsIdentity): boolean {
    return timingSafeEqual(mac, this.#macOf(nonce))
  }

  #macOf(nonce: Uint8Array): Uint8Array {
    return this.#mac.clone().update(nonce).digest().subarray(0, macBytes)
  }
}

/** Returns the external PSK of TLS 1.3, 32 bytes. */
export function derivePsk(pairKey: Uint8Array): Uint8Array {
  return expand(sha256, pairKey, fields('tls-psk'), 32)
}

export function deriveIdentityKey(pairKey: Uint8Array, { dialer, listener }: TlsEnds): Uint8Array {
  return expand(sha256, pairKey, fields('tls-identity', dialer, listener), 32)
}

/** Decodes an identity; null when it is none of this version. */
export function decodeTlsIdentity(text: string): TlsIdentity | null {
  if (text.length !== identityTextLength || !/^[\w-]+$/u.test(text)) return null
  const bytes = base64urlnopad.decode(text)
  if (bytes[0] !== identityVersion) return null
  return { nonce: bytes.slice(1, 1 + identityNonceBytes), mac: bytes.slice(1 + identityNonceBytes) }
}

export const identityNonceBytes = 16
/** Version of the identity, of what its key is derived from and of the frames of the session that follows. */
const identityVersion = 1
const macBytes = 16
const identityTextLength = 44
