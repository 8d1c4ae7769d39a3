import { expand } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { fields } from '../../pairing/fields.ts'
import { sameMac } from '../../pairing/proofs.ts'

/**
 * Mutual proof of two devices that they hold the same pair key, in three frames:
 *
 *     dialer   -> dialerHello    version, instance, nonce, ids of the keys it holds for this peer
 *     listener -> listenerHello  version, instance, nonce, proof
 *     dialer   -> dialerProof    proof
 *
 * A proof is an HMAC-SHA256, under a key expanded from the pair key, over the prover's role, both peer ids (from the
 * authenticated connection, never from a message), both hellos as they were sent, and over TLS the secret of the connection. The
 * role keeps a proof from being echoed, the nonces from being replayed, the hellos from being altered, the secret from being passed on.
 *
 * A side holds up to two keys for a peer, newest first: the one of a pairing that is not finished, and a settled one. A key id is
 * a MAC over the dialer's nonce, so it says which key is meant to nobody who lacks the key, and never repeats. Pure: nonces and
 * instance ids are passed in.
 */

export interface PairKey {
  /** 32 bytes. */
  key: Uint8Array
  /** Slot of the key: whether the pairing it comes from was finished. */
  slot: 'provisional' | 'settled'
}

export interface HelloPeers {
  /** Peer id of the side that opened the stream, as multihash bytes. */
  dialer: Uint8Array
  listener: Uint8Array
  /** Secret of the TLS connection (`tls-exporter`), 32 bytes. Not over Noise, which proves the peer ids. */
  binding?: Uint8Array | undefined
}

export interface HelloSecrets {
  /** Instance: 16 random bytes made once at process start, so a new one shows a restart. */
  instance: Uint8Array
  /** 32 fresh random bytes. */
  nonce: Uint8Array
}

export const helloVersion = 1
/** Versions told to a device that speaks another one, the newest first. */
export const helloVersions: readonly number[] = [helloVersion]
export const instanceBytes = 16
export const nonceBytes = 32
export const maxKeys = 2
const keyIdBytes = 16
const proofBytes = 32
const openingBytes = 1 + instanceBytes + nonceBytes

export function encodeDialerHello(
  peers: HelloPeers,
  { instance, nonce }: HelloSecrets,
  keys: readonly PairKey[],
): Uint8Array {
  if (keys.length === 0 || keys.length > maxKeys) throw new RangeError(`${keys.length} pair keys`)
  const keyIds = keys.map(({ key }) => deriveKeyId(key, peers, nonce))
  return join([Uint8Array.of(helloVersion), instance, nonce, ...keyIds])
}

export interface DialerHello {
  instance: Uint8Array
  nonce: Uint8Array
  keyIds: Uint8Array[]
}

/** Reads the version of any hello: the first byte stays, whatever a version may change. */
export function versionOf(hello: Uint8Array): number {
  return hello[0] ?? 0
}

/** Decodes a hello; null when it is not one of this version. */
export function decodeDialerHello(payload: Uint8Array): DialerHello | null {
  const count = (payload.byteLength - openingBytes) / keyIdBytes
  if (payload[0] !== helloVersion || !Number.isInteger(count) || count < 1 || count > maxKeys) return null
  const keyIds = Array.from({ length: count }, (_, index) =>
    payload.slice(openingBytes + index * keyIdBytes, openingBytes + (index + 1) * keyIdBytes),
  )
  return { ...decodeOpening(payload), keyIds }
}

/** Returns the newest of our keys that the dialer also holds. */
export function chooseKey(
  peers: HelloPeers,
  hello: DialerHello,
  keys: readonly PairKey[],
): PairKey | undefined {
  return keys.find(({ key }) => {
    const keyId = deriveKeyId(key, peers, hello.nonce)
    return hello.keyIds.some((offered) => sameMac(offered, keyId))
  })
}

export function encodeListenerHello(
  peers: HelloPeers,
  { instance, nonce }: HelloSecrets,
  dialerHello: Uint8Array,
  { key }: PairKey,
): Uint8Array {
  const opening = join([Uint8Array.of(helloVersion), instance, nonce])
  return join([opening, prove('listener', key, peers, dialerHello, opening)])
}

/** Returns the instance and the key under which the listener's proof holds; null when none does, or the frame is not a hello. */
export function verifyListenerHello(
  peers: HelloPeers,
  dialerHello: Uint8Array,
  payload: Uint8Array,
  keys: readonly PairKey[],
): { instance: Uint8Array; pairKey: PairKey } | null {
  if (payload[0] !== helloVersion || payload.byteLength !== openingBytes + proofBytes) return null
  const opening = payload.subarray(0, openingBytes)
  const proof = payload.subarray(openingBytes)
  const pairKey = keys.find(({ key }) => sameMac(proof, prove('listener', key, peers, dialerHello, opening)))
  return pairKey === undefined ? null : { instance: decodeOpening(payload).instance, pairKey }
}

export function encodeDialerProof(
  peers: HelloPeers,
  dialerHello: Uint8Array,
  listenerHello: Uint8Array,
  { key }: PairKey,
): Uint8Array {
  return prove('dialer', key, peers, dialerHello, listenerHello.subarray(0, openingBytes))
}

export function verifyDialerProof(
  peers: HelloPeers,
  dialerHello: Uint8Array,
  listenerHello: Uint8Array,
  proof: Uint8Array,
  pairKey: PairKey,
): boolean {
  return sameMac(proof, encodeDialerProof(peers, dialerHello, listenerHello, pairKey))
}

/** Keys of the [sealed records](sealed-records.ts) that the dialer and the listener send, 32 bytes each. */
export function deriveSealKeys(
  peers: HelloPeers,
  dialerHello: Uint8Array,
  listenerHello: Uint8Array,
  { key }: PairKey,
): { dialer: Uint8Array; listener: Uint8Array } {
  const secret = expand(sha256, key, utf8('spacedock/session/1 seal'), 32)
  const opening = listenerHello.subarray(0, openingBytes)
  const derive = (role: 'dialer' | 'listener'): Uint8Array =>
    hmac(sha256, secret, fields(role, peers.dialer, peers.listener, dialerHello, opening))
  return { dialer: derive('dialer'), listener: derive('listener') }
}

function prove(
  role: 'dialer' | 'listener',
  pairKey: Uint8Array,
  peers: HelloPeers,
  dialerHello: Uint8Array,
  listenerOpening: Uint8Array,
): Uint8Array {
  const key = expand(sha256, pairKey, utf8('spacedock/session/1 proof'), 32)
  const binding = peers.binding === undefined ? [] : [peers.binding]
  return hmac(
    sha256,
    key,
    fields(role, peers.dialer, peers.listener, dialerHello, listenerOpening, ...binding),
  )
}

function deriveKeyId(pairKey: Uint8Array, peers: HelloPeers, dialerNonce: Uint8Array): Uint8Array {
  const key = expand(sha256, pairKey, utf8('spacedock/session/1 key-id'), 32)
  return hmac(sha256, key, fields(peers.dialer, peers.listener, dialerNonce)).subarray(0, keyIdBytes)
}

function decodeOpening(payload: Uint8Array): { instance: Uint8Array; nonce: Uint8Array } {
  return {
    instance: payload.slice(1, 1 + instanceBytes),
    nonce: payload.slice(1 + instanceBytes, openingBytes),
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.byteLength
  }
  return joined
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
