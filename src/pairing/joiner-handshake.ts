import { decodeDescription, encodeDescription } from './device-info.ts'
import { fields } from './fields.ts'
import { agreeKeys, deriveDigits, derivePairKey, type AgreedKeys } from './key-schedule.ts'
import type { HandshakeContext } from './machine.ts'
import type { MessageOf, PairingMessage } from './pairing-messages.ts'
import {
  acknowledgementMac,
  cancelMac,
  challengeProbe,
  requestProbe,
  requestRefusalMac,
  responseRefusalMac,
  sameMac,
} from './proofs.ts'
import type { ProvisionalPair } from './provisional-pair.ts'
import { commit, transcript } from './transcript.ts'
import type { PeerId } from './peer-id.ts'

/** Computations of the joiner, message by message; joiner.ts decides when it does so. */

/** A peer that is being asked whether it is the one. */
export interface Candidate {
  readonly peer: PeerId
  readonly nonce: Uint8Array
  readonly secret: Uint8Array
  readonly request: MessageOf<'PairingRequest'>
  /** Transcript after message 1. */
  readonly requested: Uint8Array
}

/** The peer that answered as only a holder of the code can, and what we answered. */
export interface Exchange {
  readonly candidate: Candidate
  readonly response: MessageOf<'Response'>
  readonly keys: AgreedKeys
  /** Transcript after message 3. */
  readonly responded: Uint8Array
  readonly digits: string
}

/** Results of the initiator's yes. */
export interface Agreement {
  readonly exchange: Exchange
  readonly pair: ProvisionalPair
}

/** Derives the same bytes whenever the same peer is asked within one search, and unrelated ones for every other peer. */
export function deriveCandidate(context: HandshakeContext, seed: Uint8Array, peer: PeerId): Candidate {
  const { suite } = context
  const nonce = suite.expand(seed, fields('candidate-nonce', peer), 32)
  const secret = suite.expand(seed, fields('candidate-secret', peer), 32)
  return makeCandidate(context, peer, { nonce, secret })
}

export function makeCandidate(
  context: HandshakeContext,
  peer: PeerId,
  { nonce, secret }: { nonce: Uint8Array; secret: Uint8Array },
): Candidate {
  const { suite } = context
  const commitment = commit(suite, nonce, suite.publicShare(secret))
  const start = transcript.start(suite, peer, context.localPeerId)
  const probe = requestProbe(context, start, commitment)
  return {
    peer,
    nonce,
    secret,
    request: { type: 'PairingRequest', version: 1, suite: suite.name, commitment, probe },
    requested: transcript.request(suite, start, commitment, probe),
  }
}

/** Null unless the Challenge comes from a holder of the code, and its share is usable. */
export function answerChallenge(
  context: HandshakeContext,
  candidate: Candidate,
  challenge: MessageOf<'Challenge'>,
): Exchange | null {
  const { suite } = context
  const expected = challengeProbe(context, candidate.requested, challenge.nonce, challenge.share)
  if (!sameMac(challenge.probe, expected)) return null
  const keys = agreeKeys(suite, context.keys.authKey, candidate.secret, challenge.share)
  if (keys === null) return null

  const { nonce, secret } = candidate
  const share = suite.publicShare(secret)
  const challenged = transcript.challenge(suite, candidate.requested, challenge.nonce, challenge.share)
  const opening = transcript.opening(suite, challenged, nonce, share)
  const sealed = suite.seal(keys.joinerSeal, encodeDescription({ name: context.deviceName }), opening)
  const responded = transcript.response(suite, opening, sealed)
  const proof = suite.mac(keys.joinerProof, responded)
  return {
    candidate,
    response: { type: 'Response', nonce, share, sealed, proof },
    keys,
    responded,
    digits: deriveDigits(suite, keys, opening),
  }
}

/** Null unless the initiator's proof is right and its sealed part is authentic. */
export function verifyComplete(
  { suite }: HandshakeContext,
  exchange: Exchange,
  message: MessageOf<'Complete'>,
): Agreement | null {
  const { keys, responded, response } = exchange
  const completed = transcript.complete(suite, responded, response.proof, message.sealed)
  if (!sameMac(message.proof, suite.mac(keys.initiatorProof, completed))) return null
  const associatedData = transcript.proved(suite, responded, response.proof)
  const plaintext = suite.open(keys.initiatorSeal, message.sealed, associatedData)
  const description = plaintext === null ? null : decodeDescription(plaintext)
  if (description === null) return null
  const pair: ProvisionalPair = {
    peer: exchange.candidate.peer,
    name: description.name,
    pairKey: derivePairKey(suite, keys, completed),
    acknowledgement: acknowledgementMac(suite, keys.acknowledgement, completed, message.proof),
  }
  return { exchange, pair }
}

export function verifyRequestRefusal(
  context: HandshakeContext,
  candidate: Candidate,
  { reason, mac }: MessageOf<'Refused'>,
): boolean {
  return sameMac(mac, requestRefusalMac(context, candidate.requested, reason))
}

export function verifyResponseRefusal(
  { suite }: HandshakeContext,
  { keys, responded, response }: Exchange,
  { reason, mac }: MessageOf<'Refused'>,
): boolean {
  return sameMac(mac, responseRefusalMac(suite, keys.initiatorProof, responded, response.proof, reason))
}

export function verifyCancel(
  context: HandshakeContext,
  candidate: Candidate,
  message: MessageOf<'Cancel'>,
): boolean {
  return sameMac(message.mac, cancelMac(context, 'initiator', candidate.requested))
}

export function makeCancel(context: HandshakeContext, candidate: Candidate): PairingMessage {
  return { type: 'Cancel', mac: cancelMac(context, 'joiner', candidate.requested) }
}
