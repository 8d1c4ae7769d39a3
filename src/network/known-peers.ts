import type { PeerId } from '../pairing/peer-id.ts'

/** Peers that are no strangers to a host. */
export interface KnownPeers {
  /** Whether this peer is paired. */
  isPaired(peer: PeerId): boolean
  /** Whether a pairing with this peer runs, as far as it has shown that it holds the code. */
  isPairing(peer: PeerId): boolean
  /** Whether this peer id, as in an address, is that of a rendezvous node of this device, whose relay it uses. */
  isRelay(peer: string): boolean
}
