import { fields } from './fields.ts'
import type { Suite } from './suite.ts'

/**
 * The running hash over everything both sides said, in decoded fields, never in JSON text. Both peer ids come from
 * the connection that Noise authenticated, in their base58btc text form. PROTOCOL.md, 'Transcript'.
 */
export const transcript = {
  start: (suite: Suite, initiatorPeerId: string, joinerPeerId: string) =>
    step(suite, 'start', suite.name, initiatorPeerId, joinerPeerId),

  request: (suite: Suite, start: Uint8Array, commitment: Uint8Array, probe: Uint8Array) =>
    step(suite, 'request', start, commitment, probe),

  challenge: (suite: Suite, request: Uint8Array, nonce: Uint8Array, share: Uint8Array) =>
    step(suite, 'challenge', request, nonce, share),

  /** Input of the digits: nothing in it can be chosen after the commitment. */
  opening: (suite: Suite, challenge: Uint8Array, nonce: Uint8Array, share: Uint8Array) =>
    step(suite, 'opening', challenge, nonce, share),

  response: (suite: Suite, opening: Uint8Array, sealed: Uint8Array) =>
    step(suite, 'response', opening, sealed),

  /** Data that the initiator's sealed part is bound to. */
  proved: (suite: Suite, response: Uint8Array, joinerProof: Uint8Array) =>
    step(suite, 'proved', response, joinerProof),

  complete: (suite: Suite, response: Uint8Array, joinerProof: Uint8Array, sealed: Uint8Array) =>
    step(suite, 'complete', response, joinerProof, sealed),

  refused: (suite: Suite, response: Uint8Array, joinerProof: Uint8Array, reason: string) =>
    step(suite, 'refused', response, joinerProof, reason),
}

export function commit(suite: Suite, nonce: Uint8Array, share: Uint8Array): Uint8Array {
  return step(suite, 'commitment', nonce, share)
}

function step(suite: Suite, label: string, ...parts: (Uint8Array | string)[]): Uint8Array {
  return suite.hash(fields(`spacedock/pairing/1/${label}`, ...parts))
}
