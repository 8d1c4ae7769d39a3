import {
  makeAgreement,
  makeAttempt,
  makeCancel as makeInitiatorCancel,
  refuseRequest,
  refuseResponse,
  verifyRequest,
  verifyResponse,
} from '../../src/pairing/initiator-handshake.ts'
import type { InitiatorState } from '../../src/pairing/initiator-state.ts'
import {
  answerChallenge,
  deriveCandidate,
  makeCancel,
  makeCandidate,
  verifyComplete,
  type Candidate,
} from '../../src/pairing/joiner-handshake.ts'
import { agreeKeys } from '../../src/pairing/key-schedule.ts'
import { sealedLength, type MessageOf, type PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { requestProbe, challengeProbe, sameMac } from '../../src/pairing/proofs.ts'
import { commit, transcript } from '../../src/pairing/transcript.ts'
import { freshBytes, initiatorName, outsiderName, type JoinerRun, type MachineTable } from './machines.ts'

/** What a thief says: she holds the code, keeps to the protocol or breaks it in one place. */
export interface Saying {
  how: string
  message: PairingMessage
  /** Only an attacker says this: it may spend the code, and must never gain anything. */
  isForbidden: boolean
}

/** To the device that shows the code, as a joiner. What she needs to have seen was sent to her. */
export function sayingsToInitiator(table: MachineTable, state: InitiatorState, tries: number): Saying[] {
  const context = table.contextOf(outsiderName)
  const { suite } = context
  const mine = Array.from({ length: tries }, (_, index) =>
    makeCandidate(context, initiatorName, freshBytes(`${outsiderName}/${index}`)),
  )
  const lowOrder = makeLowOrderCandidate(table)
  const sayings: Saying[] = [...mine, lowOrder].map(({ request }) => allowed('', request))
  const attempt = state.attempts.find(({ peer, isClosed }) => peer === outsiderName && !isClosed)
  if (attempt === undefined) return sayings
  const candidate = [...mine, lowOrder].find(({ request }) => sameMac(request.commitment, attempt.commitment))
  if (candidate === undefined) return sayings
  if (candidate === lowOrder) {
    sayings.push(forbidden('with a share of low order', lowOrderResponse(table, lowOrder, attempt.challenge)))
    return sayings
  }
  const exchange = answerChallenge(context, candidate, attempt.challenge)
  if (exchange === null) return sayings
  const { response, keys } = exchange
  const other = freshBytes(`${outsiderName}/chosen after the Challenge`)
  const opened = answerChallenge(context, { ...candidate, ...other }, attempt.challenge)
  const opening = transcript.opening(suite, attempt.challenged, response.nonce, response.share)
  const sealed = withFlippedEnd(response.sealed)
  const proof = suite.mac(keys.joinerProof, transcript.response(suite, opening, sealed))
  sayings.push(
    allowed('', response),
    forbidden('that opens another commitment', opened?.response ?? response),
    forbidden('without proof', { ...response, proof: new Uint8Array(32) }),
    forbidden('with a sealed part that is not authentic', { ...response, sealed, proof }),
    allowed('', makeCancel(context, candidate)),
    forbidden('made up', { type: 'Cancel', mac: new Uint8Array(32) }),
  )
  if (!('agreement' in state) || state.phase === 'persisting') return sayings
  const agreement = verifyComplete(context, exchange, state.agreement.complete)
  if (agreement === null) return sayings
  const { acknowledgement } = agreement.pair
  sayings.push(
    allowed('', { type: 'Confirmed', acknowledgement }),
    forbidden('made up', { type: 'Confirmed', acknowledgement: new Uint8Array(32) }),
  )
  return sayings
}

/** To a device on which the code is typed, as if she were the one that shows it. All of them answers, but the Cancel. */
export function sayingsToJoiner(table: MachineTable, { state, device }: JoinerRun): Saying[] {
  const context = table.contextOf(outsiderName)
  const { suite } = context
  const exchange =
    'exchange' in state ? state.exchange : 'agreement' in state ? state.agreement.exchange : null
  const searching = state.phase === 'searching' ? state.seed : null
  const candidate =
    searching === null
      ? exchange?.candidate
      : deriveCandidate(table.contextOf(device), searching, outsiderName)
  if (candidate?.peer !== outsiderName) return []
  const requested = verifyRequest(context, device, candidate.request)
  if (requested === null) return []
  const { commitment } = candidate.request
  const fresh = freshBytes(`${outsiderName}/challenge`)
  const attempt = makeAttempt(context, { peer: device, requested, commitment }, fresh, 0)
  if (exchange === null) {
    const { challenge } = attempt
    const share = new Uint8Array(32)
    const probe = challengeProbe(context, requested, challenge.nonce, share)
    return [
      allowed('', challenge),
      forbidden('without probe', { ...challenge, probe: new Uint8Array(16) }),
      forbidden('with a share of low order', { ...challenge, share, probe }),
      allowed('', refuseRequest(context, requested, 'declined')),
      forbidden('made up', { type: 'Refused', reason: 'used', mac: new Uint8Array(32) }),
    ]
  }
  const winner = verifyResponse(context, attempt, exchange.response)
  if (winner === null) return []
  const { complete } = makeAgreement(context, winner)
  const sealed = withFlippedEnd(complete.sealed)
  const completed = transcript.complete(suite, winner.responded, exchange.response.proof, sealed)
  const proof = suite.mac(winner.keys.initiatorProof, completed)
  const { proof: echo } = exchange.response
  return [
    allowed('', complete),
    forbidden('without proof', { ...complete, proof: new Uint8Array(32) }),
    forbidden("with the joiner's own proof", { ...complete, proof: echo }),
    forbidden('with a sealed part that is not authentic', { ...complete, sealed, proof }),
    allowed('', { type: 'Waiting' }),
    allowed('', { type: 'Acknowledged' }),
    allowed('', refuseResponse(context, winner, 'declined')),
    forbidden('made up', { type: 'Refused', reason: 'used', mac: new Uint8Array(32) }),
    allowed('', makeInitiatorCancel(context, attempt)),
    forbidden('made up', { type: 'Cancel', mac: new Uint8Array(32) }),
  ]
}

/** A request whose commitment holds the all-zero share, which leads to a secret that everybody knows. */
function makeLowOrderCandidate(table: MachineTable): Candidate {
  const context = table.contextOf(outsiderName)
  const { suite } = context
  const candidate = makeCandidate(context, initiatorName, freshBytes(`${outsiderName}/low order`))
  const commitment = commit(suite, candidate.nonce, new Uint8Array(32))
  const start = transcript.start(suite, initiatorName, outsiderName)
  const probe = requestProbe(context, start, commitment)
  const requested = transcript.request(suite, start, commitment, probe)
  return { ...candidate, request: { ...candidate.request, commitment, probe }, requested }
}

function lowOrderResponse(
  table: MachineTable,
  { nonce, secret, requested }: Candidate,
  challenge: MessageOf<'Challenge'>,
): PairingMessage {
  const context = table.contextOf(outsiderName)
  const share = new Uint8Array(32)
  const suite = { ...context.suite, sharedSecret: () => share }
  const keys = agreeKeys(suite, context.keys.authKey, secret, share)
  const challenged = transcript.challenge(suite, requested, challenge.nonce, challenge.share)
  const opening = transcript.opening(suite, challenged, nonce, share)
  const description = new Uint8Array(sealedLength - 16).fill(0x20)
  description.set(new TextEncoder().encode(JSON.stringify({ name: outsiderName })))
  const sealed =
    keys === null ? new Uint8Array(sealedLength) : suite.seal(keys.joinerSeal, description, opening)
  const responded = transcript.response(suite, opening, sealed)
  const proof = keys === null ? new Uint8Array(32) : suite.mac(keys.joinerProof, responded)
  return { type: 'Response', nonce, share, sealed, proof }
}

function withFlippedEnd(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1
  return copy
}

function allowed(how: string, message: PairingMessage): Saying {
  return { how, message, isForbidden: false }
}

function forbidden(how: string, message: PairingMessage): Saying {
  return { how, message, isForbidden: true }
}
