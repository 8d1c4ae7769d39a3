import { createHmac, timingSafeEqual } from 'node:crypto'
import { expand } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { base64urlnopad } from '@scure/base'
import { fields } from '../../pairing/fields.ts'

/**
 * Keys by which two paired devices speak TLS, and the name by which the side that dials says which of them it means: PROTOCOL.md,
 * "Sessions over TLS". The name is sent in clear; who lacks the pair key can neither tell whose it is nor that two are the same
 * device's. Pure, but for the platform's HMAC: a listener computes one for each of its devices.
 */
export interface TlsKeys {
  /** External PSK of TLS 1.3, 32 bytes. */
  psk: Uint8Array
  /** Key of the identities, 32 bytes. */
  identityKey: Uint8Array
}

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

export const identityNonceBytes = 16
/** Version of the identity, of what its key is derived from and of the frames of the session that follows. */
const identityVersion = 1
const macBytes = 16
const identityTextLength = 44

export function deriveTlsKeys(pairKey: Uint8Array): TlsKeys {
  return {
    psk: expand(sha256, pairKey, utf8('spacedock/tls/1 psk'), 32),
    identityKey: expand(sha256, pairKey, utf8('spacedock/tls/1 identity'), 32),
  }
}

/** @param nonce - 16 fresh random bytes */
export function encodeTlsIdentity(identityKey: Uint8Array, ends: TlsEnds, nonce: Uint8Array): string {
  const mac = identityMac(identityKey, ends, nonce)
  return base64urlnopad.encode(Uint8Array.of(identityVersion, ...nonce, ...mac))
}

/** Decodes an identity; null when it is none of this version. */
export function decodeTlsIdentity(text: string): TlsIdentity | null {
  if (text.length !== identityTextLength || !/^[\w-]+$/u.test(text)) return null
  const bytes = base64urlnopad.decode(text)
  if (bytes[0] !== identityVersion) return null
  return { nonce: bytes.slice(1, 1 + identityNonceBytes), mac: bytes.slice(1 + identityNonceBytes) }
}

export function isTlsIdentityOf(
  identityKey: Uint8Array,
  ends: TlsEnds,
  { nonce, mac }: TlsIdentity,
): boolean {
  return timingSafeEqual(mac, identityMac(identityKey, ends, nonce))
}

function identityMac(identityKey: Uint8Array, { dialer, listener }: TlsEnds, nonce: Uint8Array): Uint8Array {
  return createHmac('sha256', identityKey)
    .update(fields(dialer, listener, nonce))
    .digest()
    .subarray(0, macBytes)
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
