import { opensCommitment, type Agreement, type Attempt, type Winner } from './initiator-handshake.ts'
import { remembranceMs } from './limits.ts'
import type { CommonEffect, HandshakeContext, LocalEvent, Step } from './machine.ts'
import type { MessageOf, RefusalReason } from './pairing-messages.ts'
import type { ProvisionalPair } from './provisional-pair.ts'
import type { PeerId } from './peer-id.ts'

/** States, events and effects of an invitation. initiator.ts says how they follow. */

export type InitiatorState = { readonly challenges: number; readonly attempts: readonly Attempt[] } & (
  | { readonly phase: 'open'; readonly expiresAt: number }
  | { readonly phase: 'approving'; readonly winner: Winner; readonly approveBy: number }
  | { readonly phase: 'persisting'; readonly agreement: Agreement }
  | { readonly phase: 'completed'; readonly agreement: Agreement; readonly confirmBy: number }
  | { readonly phase: 'unconfirmed'; readonly agreement: Agreement; readonly endedAt: number }
  | { readonly phase: 'activating'; readonly agreement: Agreement }
  | { readonly phase: 'paired'; readonly agreement: Agreement; readonly endedAt: number }
  | {
      readonly phase: 'ended'
      readonly reason: RefusalReason
      readonly winner: Winner | null
      /** Pair agreed with the winner by then. */
      readonly pair: ProvisionalPair | null
      readonly endedAt: number
    }
)

/** Events of an invitation; `peer` is always the one that the connection authenticated. */
export type InitiatorEvent =
  | {
      type: 'request'
      peer: PeerId
      message: MessageOf<'PairingRequest'>
      /** 32 fresh random bytes each, used only when a Challenge is made of them. */
      fresh: { nonce: Uint8Array; secret: Uint8Array }
    }
  | { type: 'response'; peer: PeerId; message: MessageOf<'Response'> }
  | { type: 'confirmed'; peer: PeerId; message: MessageOf<'Confirmed'> }
  | { type: 'cancel-received'; peer: PeerId; message: MessageOf<'Cancel'> }
  | LocalEvent

export type InitiatorEffect =
  | CommonEffect<'pending'>
  | { type: 'finished'; outcome: 'paired' | 'unconfirmed'; peer: PeerId }
  | { type: 'finished'; outcome: 'ended'; reason: RefusalReason }

export type InitiatorStep = Step<InitiatorState, InitiatorEffect>

export function startInitiator(expiresAt: number): InitiatorState {
  return { phase: 'open', expiresAt, challenges: 0, attempts: [] }
}

/** Time, by the monotonic clock, at which a `tick` changes something; null when nothing is due. */
export function initiatorDueAt(state: InitiatorState): number | null {
  switch (state.phase) {
    case 'open':
      return state.expiresAt
    case 'approving':
      return state.approveBy
    case 'completed':
      return state.confirmBy
    case 'persisting':
    case 'activating':
    case 'unconfirmed':
    case 'paired':
    case 'ended':
      return null
  }
}

/** Whether the machine can be thrown away: nothing it could still say is of use to anybody. */
export function isForgettable(state: InitiatorState, now: number): boolean {
  const over = state.phase === 'paired' || state.phase === 'ended' || state.phase === 'unconfirmed'
  return over && now >= state.endedAt + remembranceMs
}

/** Whether a Response opens an attempt of this invitation: tells the right one among several. */
export function opensAttempt(
  context: HandshakeContext,
  state: InitiatorState,
  peer: PeerId,
  message: MessageOf<'Response'>,
): boolean {
  return attemptsOf(state, peer).some((attempt) => opensCommitment(context, attempt, message))
}

export function winnerOf(state: InitiatorState): Winner | null {
  switch (state.phase) {
    case 'open':
      return null
    case 'approving':
    case 'ended':
      return state.winner
    case 'persisting':
    case 'completed':
    case 'unconfirmed':
    case 'activating':
    case 'paired':
      return state.agreement.winner
  }
}

export function attemptsOf({ attempts }: InitiatorState, peer: PeerId): Attempt[] {
  return attempts.filter((attempt) => attempt.peer === peer)
}

export function openAttemptOf(state: InitiatorState, peer: PeerId): Attempt | undefined {
  return attemptsOf(state, peer).find((attempt) => !attempt.isClosed)
}

/** Marks the attempt closed and remembers it: there are `maxTries` of them at most. */
export function closeAttempt(attempts: readonly Attempt[], closed: Attempt | undefined): Attempt[] {
  return attempts.map((attempt) => (attempt === closed ? { ...attempt, isClosed: true } : attempt))
}
