import type { PeerId } from '../../pairing/peer-id.ts'
import type { PairKey } from './session-hello.ts'

/** Trust decisions that the hello of a session needs, and reports of its outcome. */
export interface SessionTrust {
  /** Keys for a peer, newest first, at most two; none when it is not paired. */
  keysOf(peer: PeerId): readonly PairKey[]
  /** Called when the other side has proved this key. Throws when the session must not come about, after all. */
  proved(peer: PeerId, pairKey: PairKey): void | Promise<void>
  /** Revocation notice to a peer that was revoked; undefined when it is merely unknown. */
  noticeTo(peer: PeerId): Uint8Array | undefined
  /** Called when the peer says that it has revoked this device; returns whether that is authentic. */
  revokedBy(peer: PeerId, notice: Uint8Array): boolean
  /** Called when the peer says that it knows none of these keys. */
  disowned(peer: PeerId, offered: readonly PairKey[]): void
}
