import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { PeerId } from './pairing/peer-id.ts'

/** Converts between libp2p's object for a peer and its id, by which everything else here knows a peer. */

export function peerIdOf(peer: Libp2pPeerId): PeerId {
  return peer.toString() as PeerId
}

export function libp2pPeer(peer: PeerId): Libp2pPeerId {
  return peerIdFromString(peer)
}

/** Parses a peer id; null for any other text, or another spelling of one. */
export function parsePeerId(text: string): PeerId | null {
  try {
    return peerIdFromString(text).toString() === text ? (text as PeerId) : null
  } catch {
    return null
  }
}

/** Returns the peer id of a device, which was checked before it became one. */
export function peerOf({ peerId }: { readonly peerId: string }): PeerId {
  return peerId as PeerId
}
