import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import {
  openSession,
  sessionProtocol,
  type Session,
  type SessionOptions,
} from '../../src/network/session/session.ts'
import { isRevocationNotice } from '../../src/pairing/revocation-notice.ts'
import { helloTo, RawSession } from '../network/session/raw-session.ts'
import type { RawPeer } from './raw-peer.ts'
import { peerIdOf } from '../../src/libp2p-peer.ts'

/** A session as a paired device opens it. */
export async function openSessionByHand(
  raw: RawPeer,
  address: string,
  pairKey: Uint8Array,
): Promise<Session> {
  return openSession(await connectByHand(raw, address), optionsOf(raw, pairKey))
}

/** The same, but for what is said after the hello: that is anything. */
export async function openRawSession(
  raw: RawPeer,
  address: string,
  pairKey: Uint8Array,
): Promise<RawSession> {
  const connection = await connectByHand(raw, address)
  const stream = await connection.newStream(sessionProtocol)
  return RawSession.dial(stream, helloTo(peerIdOf(connection.remotePeer), optionsOf(raw, pairKey)))
}

/** A connection of its own: libp2p may hand out one that is dead. */
function connectByHand(raw: RawPeer, address: string): Promise<Connection> {
  return raw.libp2p.dial(multiaddr(address), { force: true })
}

function optionsOf(raw: RawPeer, pairKey: Uint8Array): SessionOptions {
  return {
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
  }
}
