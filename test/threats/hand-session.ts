import { randomBytes } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { openSession, type Session } from '../../src/network/session/session.ts'
import { isRevocationNotice } from '../../src/pairing/revocation-notice.ts'
import type { RawPeer } from './raw-peer.ts'
import { peerIdOf } from '../../src/libp2p-peer.ts'

/** A session as a paired device opens it. */
export async function openSessionByHand(
  raw: RawPeer,
  address: string,
  pairKey: Uint8Array,
): Promise<Session> {
  // A connection of its own: libp2p may hand out one that is dead.
  const connection = await raw.libp2p.dial(multiaddr(address), { force: true })
  return openSession(connection, {
    localPeer: peerIdOf(raw.libp2p.peerId),
    instance: new Uint8Array(randomBytes(16)),
    trust: {
      keysOf: () => [{ key: pairKey, slot: 'settled' }],
      proved: () => {},
      noticeTo: () => undefined,
      revokedBy: (peer, notice) => isRevocationNotice(notice, pairKey, peer, raw.libp2p.peerId.toString()),
      disowned: () => {},
    },
    calls: { request: async () => null, stream: async () => {}, event: async () => {} },
  })
}
