import { randomBytes } from 'node:crypto'
import { base58 } from '@scure/base'

/** A peer id to which nobody has the key; a thousand times cheaper than a real one. */
export function fakePeerId(): string {
  // The identity multihash of a protobuf with an Ed25519 public key (libp2p's peer-ids specification).
  return base58.encode(new Uint8Array([0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...randomBytes(32)]))
}
