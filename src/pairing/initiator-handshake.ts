import { decodeDescription, encodeDescription } from './device-info.ts'
import { agreeKeys, deriveDigits, derivePairKey, type AgreedKeys } from './key-schedule.ts'
import type { HandshakeContext } from './machine.ts'
import type { MessageOf, PairingMessage, RefusalReason } from './pairing-messages.ts'
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

/** Computations of the initiator, message by message; initiator.ts decides when it does so. */

/** One peer's use of the code, from its PairingRequest on. */
export interface Attempt {
  readonly peer: PeerId
  readonly commitment: Uint8Array
  readonly secret: Uint8Array
  readonly challenge: MessageOf<'Challenge'>
  /** Transcript after messages 1 and 2. */
  readonly requested: Uint8Array
  readonly challenged: Uint8Array
  readonly startedAt: number
  /** Whether the same peer has asked with other bytes since, or called this attempt off: what still comes of it is only late. */
  readonly isClosed: boolean
}

/** The attempt whose Response proved the code. */
export interface Winner {
  readonly attempt: Attempt
  readonly response: MessageOf<'Response'>
  readonly keys: AgreedKeys
  /** Transcript after message 3. */
  readonly responded: Uint8Array
  readonly name: string
  readonly digits: string
}

/** Results of a yes. */
export interface Agreement {
  readonly winner: Winner
  readonly complete: MessageOf<'Complete'>
  readonly pair: ProvisionalPair
}

/** Returns the transcript after message 1; null unless the sender holds the code and speaks our suite. */
export function verifyRequest(
  context: HandshakeContext,
  peer: PeerId,
  message: MessageOf<'PairingRequest'>,
): Uint8Array | null {
  const { suite, localPeerId } = context
  const start = transcript.start(suite, localPeerId, peer)
  const holdsCode =
    message.suite === suite.name && sameMac(message.probe, requestProbe(context, start, message.commitment))
  return holdsCode ? transcript.request(suite, start, message.commitment, message.probe) : null
}

export function makeAttempt(
  context: HandshakeContext,
  request: { peer: PeerId; commitment: Uint8Array; requested: Uint8Array },
  fresh: { nonce: Uint8Array; secret: Uint8Array },
  startedAt: number,
): Attempt {
  const { suite } = context
  const { nonce, secret } = fresh
  const share = suite.publicShare(secret)
  const probe = challengeProbe(context, request.requested, nonce, share)
  return {
    ...request,
    secret,
    challenge: { type: 'Challenge', nonce, share, probe },
    challenged: transcript.challenge(suite, request.requested, nonce, share),
    startedAt,
    isClosed: false,
  }
}

/** Whether a Response is an answer to this attempt's Challenge; says nothing about its proof. */
export function opensCommitment(
  { suite }: HandshakeContext,
  { commitment }: Attempt,
  { nonce, share }: MessageOf<'Response'>,
): boolean {
  return sameMac(commit(suite, nonce, share), commitment)
}

/** Null unless the Response opens the commitment, its proof is right and its sealed part is authentic. */
export function verifyResponse(
  context: HandshakeContext,
  attempt: Attempt,
  response: MessageOf<'Response'>,
): Winner | null {
  const { suite, keys } = context
  if (!opensCommitment(context, attempt, response)) return null
  const agreed = agreeKeys(suite, keys.authKey, attempt.secret, response.share)
  if (agreed === null) return null
  const opening = transcript.opening(suite, attempt.challenged, response.nonce, response.share)
  const responded = transcript.response(suite, opening, response.sealed)
  if (!sameMac(response.proof, suite.mac(agreed.joinerProof, responded))) return null
  const plaintext = suite.open(agreed.joinerSeal, response.sealed, opening)
  const description = plaintext === null ? null : decodeDescription(plaintext)
  if (description === null) return null
  const digits = deriveDigits(suite, agreed, opening)
  return { attempt, response, keys: agreed, responded, name: description.name, digits }
}

export function makeAgreement({ suite, deviceName }: HandshakeContext, winner: Winner): Agreement {
  const { keys, responded, response } = winner
  const associatedData = transcript.proved(suite, responded, response.proof)
  const sealed = suite.seal(keys.initiatorSeal, encodeDescription({ name: deviceName }), associatedData)
  const completed = transcript.complete(suite, responded, response.proof, sealed)
  const proof = suite.mac(keys.initiatorProof, completed)
  const pair: ProvisionalPair = {
    peer: winner.attempt.peer,
    name: winner.name,
    pairKey: derivePairKey(suite, keys, completed),
    acknowledgement: acknowledgementMac(suite, keys.acknowledgement, completed, proof),
  }
  return { winner, complete: { type: 'Complete', sealed, proof }, pair }
}

export function verifyAcknowledgement(
  pair: ProvisionalPair,
  peer: PeerId,
  message: MessageOf<'Confirmed'>,
): boolean {
  return pair.peer === peer && sameMac(pair.acknowledgement, message.acknowledgement)
}

export function verifyCancel(
  context: HandshakeContext,
  attempt: Attempt,
  message: MessageOf<'Cancel'>,
): boolean {
  return sameMac(message.mac, cancelMac(context, 'joiner', attempt.requested))
}

export function makeCancel(context: HandshakeContext, attempt: Attempt): PairingMessage {
  return { type: 'Cancel', mac: cancelMac(context, 'initiator', attempt.requested) }
}

/** Refuses a peer that has only shown that it holds the code. */
export function refuseRequest(
  context: HandshakeContext,
  requested: Uint8Array,
  reason: RefusalReason,
): PairingMessage {
  return { type: 'Refused', reason, mac: requestRefusalMac(context, requested, reason) }
}

/** Refuses a peer whose Response was right. */
export function refuseResponse(
  { suite }: HandshakeContext,
  winner: Winner,
  reason: RefusalReason,
): PairingMessage {
  const { keys, responded, response } = winner
  const mac = responseRefusalMac(suite, keys.initiatorProof, responded, response.proof, reason)
  return { type: 'Refused', reason, mac }
}

export function sameResponse(a: MessageOf<'Response'>, b: MessageOf<'Response'>): boolean {
  return (
    sameMac(a.nonce, b.nonce) &&
    sameMac(a.share, b.share) &&
    sameMac(a.sealed, b.sealed) &&
    sameMac(a.proof, b.proof)
  )
}
