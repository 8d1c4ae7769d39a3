import { fields } from './fields.ts'
import type { Suite } from './suite.ts'

/** Keys that the sixteen bytes of a code lead to, before the two devices have met. PROTOCOL.md, 'Key schedule'. */
export interface CodeKeys {
  /** 16 bytes, equal on both sides, shown and logged, never sent. */
  sessionId: Uint8Array
  /** Ed25519 seed that signs the address record. */
  signingKey: Uint8Array
  /** Encrypts the address record. */
  recordKey: Uint8Array
  /** Ed25519 seed that signs the joiner's own record. */
  joinerSigningKey: Uint8Array
  /** Encrypts the joiner's own record. */
  joinerRecordKey: Uint8Array
  /** Proves 'I hold the code' on first contact. */
  probeKey: Uint8Array
  /** Marks announcements on the local network, for holders of the code. */
  announcementKey: Uint8Array
  /** Authenticates the key agreement. Nothing public is derived from it. */
  authKey: Uint8Array
}

export function deriveCodeKeys(suite: Suite, entropy: Uint8Array): CodeKeys {
  const key = suite.extract(bytes('spacedock/pairing/1'), entropy)
  return {
    sessionId: suite.expand(key, bytes('session-id'), 16),
    signingKey: suite.expand(key, bytes('rendezvous-key'), 32),
    recordKey: suite.expand(key, bytes('record-key'), 32),
    joinerSigningKey: suite.expand(key, bytes('joiner-rendezvous-key'), 32),
    joinerRecordKey: suite.expand(key, bytes('joiner-record-key'), 32),
    probeKey: suite.expand(key, bytes('probe-key'), 32),
    announcementKey: suite.expand(key, bytes('announcement-key'), 32),
    authKey: suite.expand(key, bytes('auth-key'), 32),
  }
}

/** Keys that both sides share once the X25519 shares are exchanged. */
export interface AgreedKeys {
  /** MACs the joiner's proof. */
  joinerProof: Uint8Array
  /** MACs the initiator's proof, and its reason when it says no. */
  initiatorProof: Uint8Array
  /** MACs the joiner's last word. */
  acknowledgement: Uint8Array
  joinerSeal: Uint8Array
  initiatorSeal: Uint8Array
  /** Root for the digits and the pair key. */
  root: Uint8Array
}

/** Agrees on the keys; null when the other side's share is of low order. */
export function agreeKeys(
  suite: Suite,
  authKey: Uint8Array,
  ownSecret: Uint8Array,
  otherShare: Uint8Array,
): AgreedKeys | null {
  const shared = suite.sharedSecret(ownSecret, otherShare)
  if (shared === null) return null
  const root = suite.extract(authKey, shared)
  const derive = (label: string): Uint8Array => suite.expand(root, bytes(label), 32)
  return {
    joinerProof: derive('joiner-proof'),
    initiatorProof: derive('initiator-proof'),
    acknowledgement: derive('acknowledgement'),
    joinerSeal: derive('joiner-seal'),
    initiatorSeal: derive('initiator-seal'),
    root,
  }
}

/** Derives six decimal digits for people to compare. Everything in `opening` was fixed by the joiner's commitment. */
export function deriveDigits(suite: Suite, keys: AgreedKeys, opening: Uint8Array): string {
  const output = suite.expand(keys.root, fields('sas', opening), 8)
  const number = new DataView(output.buffer, output.byteOffset, 8).getBigUint64(0)
  return (number % 1_000_000n).toString().padStart(6, '0')
}

/** Derives the 32 bytes that the two devices keep for ever. */
export function derivePairKey(suite: Suite, keys: AgreedKeys, finalTranscript: Uint8Array): Uint8Array {
  return suite.expand(keys.root, fields('pair-key', finalTranscript), 32)
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
