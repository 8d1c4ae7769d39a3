import type { PeerId } from '../../pairing/peer-id.ts'
import type { PairKey } from './session-hello.ts'

/** Who is trusted, as far as the hello of a session asks, and what it has to say about that. */
export interface SessionTrust {
  /** What this side holds for a peer, newest first, at most two; none when it is not paired. */
  keysOf(peer: PeerId): readonly PairKey[]
  /** The other side has proved this key. Throws when the session must not come about, after all. */
  proved(peer: PeerId, pairKey: PairKey): void | Promise<void>
  /** What is said to a peer that was revoked, instead of that it is not known. */
  farewellTo(peer: PeerId): Uint8Array | undefined
  /** The peer says that it has revoked this device; whether that is authentic. */
  revokedBy(peer: PeerId, farewell: Uint8Array): boolean
  /** The peer says that it knows none of these keys. */
  disowned(peer: PeerId, offered: readonly PairKey[]): void
}
