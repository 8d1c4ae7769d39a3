import { base58 } from '@scure/base'
import type { PeerId } from '../pairing/peer-id.ts'

/**
 * Identities in a record: Ed25519 alone, whose key is in the peer id, so that a statement can be checked with nothing but itself.
 */

/** Length of the multihash of an identity: six bytes that are always the same, then the public key. */
export const identityLength = 38

/** What a multihash "identity" of an Ed25519 key in its protobuf begins with (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md). */
const start = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20]

/** Returns the multihash. Throws RangeError for a peer id that is not that of an Ed25519 key. */
export function identityBytes(peer: PeerId): Uint8Array {
  const bytes = decoded(peer)
  if (bytes === null) throw new RangeError(`${peer} is not the peer id of an Ed25519 key`)
  return bytes
}

/** Returns null for what is not the multihash of an Ed25519 key. */
export function peerIdOf(multihash: Uint8Array): PeerId | null {
  return isIdentity(multihash) ? (base58.encode(multihash) as PeerId) : null
}

/** Returns the 32 bytes of the public key. Throws RangeError for a peer id that is not that of an Ed25519 key. */
export function publicKeyOf(peer: PeerId): Uint8Array {
  return identityBytes(peer).slice(start.length)
}

function decoded(peer: PeerId): Uint8Array | null {
  try {
    const bytes = base58.decode(peer)
    return isIdentity(bytes) ? bytes : null
  } catch {
    return null
  }
}

function isIdentity(bytes: Uint8Array): boolean {
  return bytes.length === identityLength && start.every((byte, index) => bytes[index] === byte)
}
