import type { HandshakeContext } from '../../src/pairing/machine.ts'
import { randomBytes } from 'node:crypto'
import { encodeDescription } from '../../src/pairing/device-info.ts'
import * as initiator from '../../src/pairing/initiator-handshake.ts'
import * as joiner from '../../src/pairing/joiner-handshake.ts'
import {
  agreeKeys,
  deriveCodeKeys,
  deriveDigits,
  type AgreedKeys,
  type CodeKeys,
} from '../../src/pairing/key-schedule.ts'
import type { MessageOf } from '../../src/pairing/pairing-messages.ts'
import { parsePairingCode } from '../../src/pairing/pairing-code.ts'
import { suite1, type Suite } from '../../src/pairing/suite.ts'
import { challengeProbe, requestProbe } from '../../src/pairing/proofs.ts'
import { commit, transcript } from '../../src/pairing/transcript.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** The steps of a pairing one by one, to be left out, repeated or bent by whoever plays it: an attacker with the words. */

export function keysOf(words: string): CodeKeys {
  const code = parsePairingCode(words)
  if (!code.ok) throw new Error(code.message)
  return deriveCodeKeys(suite1, code.entropy)
}

export function contextOf(
  keys: CodeKeys,
  localPeerId: string,
  deviceName = 'mallory',
  suite = suite1,
): HandshakeContext {
  return { suite, keys, localPeerId, deviceName }
}

export function fresh(): { nonce: Uint8Array; secret: Uint8Array } {
  return { nonce: new Uint8Array(randomBytes(32)), secret: new Uint8Array(randomBytes(32)) }
}

/** A first message that a holder of the words can make, for the initiator with this peer id. */
export function makeRequest(
  context: HandshakeContext,
  initiatorPeer: PeerId,
  opening = fresh(),
): joiner.Candidate {
  return joiner.makeCandidate(context, initiatorPeer, opening)
}

/** The same for any share, also one whose secret nobody has. */
export function commitTo(
  context: HandshakeContext,
  initiatorPeer: PeerId,
  { nonce, share }: { nonce: Uint8Array; share: Uint8Array },
): joiner.Candidate {
  const { suite } = context
  const commitment = commit(suite, nonce, share)
  const start = transcript.start(suite, initiatorPeer, context.localPeerId)
  const probe = requestProbe(context, start, commitment)
  return {
    peer: initiatorPeer,
    nonce,
    secret: fresh().secret,
    request: { type: 'PairingRequest', version: 1, suite: suite.name, commitment, probe },
    requested: transcript.request(suite, start, commitment, probe),
  }
}

export interface Forgery {
  /** Opened in place of what was committed to. */
  nonce?: Uint8Array
  share?: Uint8Array
  /** Sealed in place of the description; padded to its size. */
  description?: string
  /** The agreed secret as somebody else would compute it. */
  suite?: Suite
}

/** A Response as the protocol wants it, but for what is forged. */
export function makeResponse(
  context: HandshakeContext,
  candidate: joiner.Candidate,
  challenge: MessageOf<'Challenge'>,
  forgery: Forgery = {},
): joiner.Exchange {
  const suite = forgery.suite ?? context.suite
  const keys = agreeKeys(suite, context.keys.authKey, candidate.secret, challenge.share)
  if (keys === null) throw new Error('the share of the Challenge is of low order')
  const nonce = forgery.nonce ?? candidate.nonce
  const share = forgery.share ?? suite.publicShare(candidate.secret)
  const challenged = transcript.challenge(suite, candidate.requested, challenge.nonce, challenge.share)
  const opening = transcript.opening(suite, challenged, nonce, share)
  const plaintext = describe(forgery.description) ?? encodeDescription({ name: context.deviceName })
  const sealed = suite.seal(keys.joinerSeal, plaintext, opening)
  const responded = transcript.response(suite, opening, sealed)
  const proof = suite.mac(keys.joinerProof, responded)
  const digits = deriveDigits(suite, keys, opening)
  return { candidate, response: { type: 'Response', nonce, share, sealed, proof }, keys, responded, digits }
}

/** The initiator's side after a Response, without any of its checks. */
export function openResponse(
  context: HandshakeContext,
  attempt: initiator.Attempt,
  response: MessageOf<'Response'>,
): { keys: AgreedKeys; responded: Uint8Array; plaintext: Uint8Array | null; digits: string } {
  const { suite } = context
  const keys = agreeKeys(suite, context.keys.authKey, attempt.secret, response.share)
  if (keys === null) throw new Error('the share of the Response is of low order')
  const opening = transcript.opening(suite, attempt.challenged, response.nonce, response.share)
  const responded = transcript.response(suite, opening, response.sealed)
  const plaintext = suite.open(keys.joinerSeal, response.sealed, opening)
  return { keys, responded, plaintext, digits: deriveDigits(suite, keys, opening) }
}

/** A Complete with a right seal, and the proof that is given. */
export function makeComplete(
  { suite, deviceName }: HandshakeContext,
  keys: AgreedKeys,
  responded: Uint8Array,
  joinerProof: Uint8Array,
  proof: (completed: Uint8Array) => Uint8Array = (completed) => suite.mac(keys.initiatorProof, completed),
): MessageOf<'Complete'> {
  const associatedData = transcript.proved(suite, responded, joinerProof)
  const sealed = suite.seal(keys.initiatorSeal, encodeDescription({ name: deviceName }), associatedData)
  return {
    type: 'Complete',
    sealed,
    proof: proof(transcript.complete(suite, responded, joinerProof, sealed)),
  }
}

/** A message with fields that are none of it, or of other types. */
export function encodeLoosely(message: Record<string, unknown>): Uint8Array {
  const entries = Object.entries(message).map(([key, value]) => [
    key,
    value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : value,
  ])
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
}

/** A Challenge with any share, also one whose secret nobody has. */
export function challengeWith(
  context: HandshakeContext,
  { commitment, probe }: MessageOf<'PairingRequest'>,
  peer: string,
  { nonce, share }: { nonce: Uint8Array; share: Uint8Array },
): MessageOf<'Challenge'> {
  const { suite } = context
  const start = transcript.start(suite, context.localPeerId, peer)
  const requested = transcript.request(suite, start, commitment, probe)
  return { type: 'Challenge', nonce, share, probe: challengeProbe(context, requested, nonce, share) }
}

export { initiator, joiner }

function describe(description: string | undefined): Uint8Array | null {
  if (description === undefined) return null
  const json = new TextEncoder().encode(description)
  const padded = new Uint8Array(256).fill(0x20)
  padded.set(json.subarray(0, 256))
  return padded
}
