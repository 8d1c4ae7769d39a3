import { fields } from './fields.ts'
import type { CodeKeys } from './key-schedule.ts'
import type { HandshakeContext } from './machine.ts'
import type { RefusalReason } from './pairing-messages.ts'
import type { Suite } from './suite.ts'
import { transcript } from './transcript.ts'

/** The MACs of a pairing, each made by one side and checked by the other. PROTOCOL.md, 'Proofs'. */

export function requestProbe(
  { suite, keys }: HandshakeContext,
  start: Uint8Array,
  commitment: Uint8Array,
): Uint8Array {
  return probe(suite, keys, 'request', start, commitment)
}

export function challengeProbe(
  { suite, keys }: HandshakeContext,
  request: Uint8Array,
  nonce: Uint8Array,
  share: Uint8Array,
): Uint8Array {
  return probe(suite, keys, 'challenge', request, nonce, share)
}

/** Covers message 1, so that a refusal cannot be moved to another attempt. */
export function requestRefusalMac(
  { suite, keys }: HandshakeContext,
  request: Uint8Array,
  reason: RefusalReason,
): Uint8Array {
  return suite.mac(keys.probeKey, fields('refused', request, reason))
}

export function cancelMac(
  { suite, keys }: HandshakeContext,
  sender: 'initiator' | 'joiner',
  request: Uint8Array,
): Uint8Array {
  return suite.mac(keys.probeKey, fields('cancel', sender, request))
}

/** Binds a refusal after message 3 to everything said so far. */
export function responseRefusalMac(
  suite: Suite,
  initiatorProofKey: Uint8Array,
  response: Uint8Array,
  joinerProof: Uint8Array,
  reason: RefusalReason,
): Uint8Array {
  return suite.mac(initiatorProofKey, transcript.refused(suite, response, joinerProof, reason))
}

export function acknowledgementMac(
  suite: Suite,
  acknowledgementKey: Uint8Array,
  complete: Uint8Array,
  initiatorProof: Uint8Array,
): Uint8Array {
  return suite.mac(acknowledgementKey, fields('acknowledgement', complete, initiatorProof))
}

/** Compares MACs, or anything else that a stranger may guess at, in a time that depends on the lengths only. */
export function sameMac(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0)
  return difference === 0
}

function probe(suite: Suite, keys: CodeKeys, label: string, ...parts: Uint8Array[]): Uint8Array {
  return suite.mac(keys.probeKey, fields(label, ...parts)).slice(0, 16)
}
