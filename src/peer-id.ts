import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { PeerId } from './pairing/peer-id.ts'

/** Between libp2p's object for a peer and its id, which is what everything else here knows a peer by. */

export function peerIdOf(peer: Libp2pPeerId): PeerId {
  return peer.toString() as PeerId
}

export function libp2pPeer(peer: PeerId): Libp2pPeerId {
  return peerIdFromString(peer)
}

/** Null for what is no peer id, or another spelling of one. */
export function parsePeerId(text: string): PeerId | null {
  try {
    return peerIdFromString(text).toString() === text ? (text as PeerId) : null
  } catch {
    return null
  }
}

/** Of a device, whose id was checked before it became one. */
export function peerOf({ peerId }: { readonly peerId: string }): PeerId {
  return peerId as PeerId
}
