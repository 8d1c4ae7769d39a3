import { peerIdFromString } from '@libp2p/peer-id'
import { sha256 } from '@noble/hashes/sha2.js'
import { SpacedockError } from '../errors.ts'
import type { PeerId } from '../pairing/peer-id.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/**
 * The device's id, 16 characters: the first 10 bytes of SHA-256('spacedock/device-id/1' || the peer id's multihash), in
 * lower-case base32 (RFC 4648, section 6, without padding). It follows from the peer id and is never claimed.
 *
 * Error: `invalid-argument` when the text is not a peer id.
 */
export function deviceIdOf(peerId: PeerId): string {
  const known = knownIds.get(peerId)
  if (known !== undefined) return known
  const id = derive(peerId)
  const [oldest] = knownIds.keys()
  if (oldest !== undefined && knownIds.size >= maxKnownIds) knownIds.delete(oldest)
  knownIds.set(peerId, id)
  return id
}

/** Ids already derived: every message and every line of a list asks for the same few. */
const knownIds = new Map<string, string>()
const maxKnownIds = 2_000

function derive(peerId: PeerId): string {
  let multihash
  try {
    multihash = peerIdFromString(peerId).toMultihash().bytes
  } catch (error) {
    throw new SpacedockError('invalid-argument', 'This is not a peer id.', { cause: error })
  }
  const label = new TextEncoder().encode('spacedock/device-id/1')
  const digest = sha256(Buffer.concat([label, multihash])).subarray(0, 10)
  let bits = digest.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)
  let id = ''
  for (let place = 0; place < 16; place += 1) {
    id = alphabet.charAt(Number(bits & 31n)) + id
    bits >>= 5n
  }
  return id
}
