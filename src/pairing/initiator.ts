import {
  makeAgreement,
  makeAttempt,
  makeCancel,
  opensCommitment,
  refuseRequest,
  refuseResponse,
  sameResponse,
  verifyAcknowledgement,
  verifyCancel,
  verifyRequest,
  verifyResponse,
  type Agreement,
  type Attempt,
  type HandshakeContext,
  type Winner,
} from './initiator-handshake.ts'
import { approvalMs, attemptMs, confirmationMs, maxOpenAttempts, maxTries, remembranceMs } from './limits.ts'
import type { MessageOf, PairingMessage, RefusalReason } from './messages.ts'
import { sameMac } from './proofs.ts'
import type { ProvisionalPair } from './provisional-pair.ts'

/**
 * The side that shows the code. One machine is one invitation: `advance` takes what happened and says what to do.
 * It touches nothing; time is in the context, fresh randomness in the events. PROTOCOL.md has its state table.
 */
export function advance(
  context: InitiatorContext,
  before: InitiatorState,
  event: InitiatorEvent,
): InitiatorStep {
  const state = expire(context, before)
  const step = handle(context, state, event)
  if (before === state || state.phase !== 'ended') return step
  return { state: step.state, effects: [finished(state), ...step.effects] }
}

export interface InitiatorContext extends HandshakeContext {
  /** Monotonic milliseconds. */
  now: number
}

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
      readonly endedAt: number
    }
)

/** `peer` is always the one that the connection authenticated. */
export type InitiatorEvent =
  | {
      type: 'request'
      peer: string
      message: MessageOf<'PairingRequest'>
      /** 32 fresh random bytes each, used only when a Challenge is made of them. */
      fresh: { nonce: Uint8Array; secret: Uint8Array }
    }
  | { type: 'response'; peer: string; message: MessageOf<'Response'> }
  | { type: 'confirmed'; peer: string; message: MessageOf<'Confirmed'> }
  | { type: 'cancel-received'; peer: string; message: MessageOf<'Cancel'> }
  /** This device's person said yes or no. */
  | { type: 'approved' }
  | { type: 'declined' }
  /** What the last `persist` effect asked for is durable, or could not be made so. */
  | { type: 'persisted' }
  | { type: 'persist-failed' }
  /** This device's person, or the program, calls the invitation off. */
  | { type: 'cancelled' }
  /** Time has passed. */
  | { type: 'tick' }

export type InitiatorEffect =
  /** The answer to the exchange that the event came from. */
  | { type: 'answer'; message: PairingMessage }
  /** No answer: the exchange is reset, as it is for anybody when there is no invitation. */
  | { type: 'silence' }
  /** Ask the person; the answer comes back as `approved` or `declined`. */
  | { type: 'ask'; peer: string; name: string; digits: string }
  | { type: 'persist'; row: 'pending'; pair: ProvisionalPair }
  | { type: 'persist'; row: 'active'; peer: string }
  /** Drop the pending row. */
  | { type: 'forget'; peer: string }
  /** Tell a peer on an exchange of our own; its answer does not matter. */
  | { type: 'send'; peer: string; message: PairingMessage }
  | { type: 'finished'; outcome: 'paired'; peer: string }
  | { type: 'finished'; outcome: 'unconfirmed'; peer: string }
  | { type: 'finished'; outcome: 'ended'; reason: RefusalReason }

export interface InitiatorStep {
  state: InitiatorState
  effects: InitiatorEffect[]
}

export function startInitiator(expiresAt: number): InitiatorState {
  return { phase: 'open', expiresAt, challenges: 0, attempts: [] }
}

/** Whether the machine can be thrown away: nothing it could still say is of use to anybody. */
export function isForgettable(state: InitiatorState, now: number): boolean {
  const over = state.phase === 'paired' || state.phase === 'ended' || state.phase === 'unconfirmed'
  return over && now >= state.endedAt + remembranceMs
}

/** Whether a Response opens an attempt of this invitation: tells the right one among several. */
export function opensAttempt(
  context: InitiatorContext,
  state: InitiatorState,
  peer: string,
  message: MessageOf<'Response'>,
): boolean {
  return attemptsOf(state, peer).some((attempt) => opensCommitment(context, attempt, message))
}

function handle(context: InitiatorContext, state: InitiatorState, event: InitiatorEvent): InitiatorStep {
  switch (event.type) {
    case 'request':
      return onRequest(context, state, event)
    case 'response':
      return onResponse(context, state, event)
    case 'confirmed':
      return onConfirmed(context, state, event)
    case 'cancel-received':
      return onCancelReceived(context, state, event)
    case 'approved':
      return state.phase === 'approving' ? approve(context, state) : unchanged(state)
    case 'declined':
      return state.phase === 'approving' ? end(context, state, 'declined') : unchanged(state)
    case 'persisted':
      return onPersisted(context, state)
    case 'persist-failed':
      return onPersistFailed(context, state)
    case 'cancelled':
      return onCancelled(context, state)
    case 'tick':
      return onTick(context, state)
  }
}

function onRequest(
  context: InitiatorContext,
  state: InitiatorState,
  { peer, message, fresh }: Extract<InitiatorEvent, { type: 'request' }>,
): InitiatorStep {
  const requested = verifyRequest(context, peer, message)
  if (requested === null) return silence(state)
  if (state.phase !== 'open') return answer(state, refuseRequest(context, requested, reasonFor(state)))

  const repeated = attemptsOf(state, peer).find((attempt) => sameMac(attempt.requested, requested))
  if (repeated !== undefined) return repeated.isClosed ? silence(state) : answer(state, repeated.challenge)
  if (state.challenges >= maxTries) {
    return end(context, state, 'burnt', {
      type: 'answer',
      message: refuseRequest(context, requested, 'burnt'),
    })
  }
  const others = closeAttempt(state.attempts, openAttemptOf(state, peer))
  const waiting = others.filter((attempt) => !attempt.isClosed && context.now < attempt.startedAt + attemptMs)
  if (waiting.length >= maxOpenAttempts) return silence(state)

  const attempt = makeAttempt(
    context,
    { peer, requested, commitment: message.commitment },
    fresh,
    context.now,
  )
  return answer(
    { ...state, challenges: state.challenges + 1, attempts: [...others, attempt] },
    attempt.challenge,
  )
}

function onResponse(
  context: InitiatorContext,
  state: InitiatorState,
  { peer, message }: Extract<InitiatorEvent, { type: 'response' }>,
): InitiatorStep {
  const winner = winnerOf(state)
  if (winner !== null && winner.attempt.peer === peer) {
    return sameResponse(winner.response, message) ? repeatAnswer(context, state, winner) : silence(state)
  }
  const attempt = openAttemptOf(state, peer)
  if (attempt === undefined) return silence(state)

  const verified = verifyResponse(context, attempt, message)
  if (state.phase !== 'open') {
    return verified === null
      ? silence(state)
      : answer(state, refuseResponse(context, verified, reasonFor(state)))
  }
  if (verified === null) {
    // An honest joiner that has asked anew since, and whose earlier Response was late.
    const isLate = attemptsOf(state, peer).some(
      (earlier) => earlier.isClosed && opensCommitment(context, earlier, message),
    )
    // Else the right probe with a wrong opening or proof: somebody stole the code, and it is worth nothing any more.
    return isLate ? silence(state) : end(context, state, 'burnt', { type: 'silence' })
  }
  return {
    state: {
      phase: 'approving',
      winner: verified,
      approveBy: context.now + approvalMs,
      challenges: state.challenges,
      attempts: state.attempts,
    },
    effects: [
      { type: 'answer', message: { type: 'Waiting' } },
      { type: 'ask', peer, name: verified.name, digits: verified.digits },
    ],
  }
}

/** The same Response always gets the answer that stands now, and changes nothing. */
function repeatAnswer(context: InitiatorContext, state: InitiatorState, winner: Winner): InitiatorStep {
  switch (state.phase) {
    case 'open':
    case 'approving':
    case 'persisting':
      return answer(state, { type: 'Waiting' })
    case 'completed':
    case 'unconfirmed':
    case 'activating':
    case 'paired':
      return answer(state, state.agreement.complete)
    case 'ended':
      return answer(state, refuseResponse(context, winner, state.reason))
  }
}

function approve(context: InitiatorContext, state: InitiatorState & { phase: 'approving' }): InitiatorStep {
  const { winner, challenges, attempts } = state
  const agreement = makeAgreement(context, winner)
  return {
    state: { phase: 'persisting', agreement, challenges, attempts },
    effects: [{ type: 'persist', row: 'pending', pair: agreement.pair }],
  }
}

function onPersisted(context: InitiatorContext, state: InitiatorState): InitiatorStep {
  switch (state.phase) {
    case 'persisting': {
      const { agreement, challenges, attempts } = state
      return {
        state: {
          phase: 'completed',
          agreement,
          confirmBy: context.now + confirmationMs,
          challenges,
          attempts,
        },
        effects: [],
      }
    }
    case 'activating': {
      const { agreement, challenges, attempts } = state
      return {
        state: { phase: 'paired', agreement, endedAt: context.now, challenges, attempts },
        effects: [{ type: 'finished', outcome: 'paired', peer: agreement.pair.peer }],
      }
    }
    case 'ended':
      // Called off while the pending row was being written.
      return state.winner === null
        ? unchanged(state)
        : { state, effects: [{ type: 'forget', peer: state.winner.attempt.peer }] }
    case 'open':
    case 'approving':
    case 'completed':
    case 'unconfirmed':
    case 'paired':
      return unchanged(state)
  }
}

function onPersistFailed(context: InitiatorContext, state: InitiatorState): InitiatorStep {
  if (state.phase === 'persisting') return end(context, state, 'failed')
  if (state.phase !== 'activating') return unchanged(state)
  // The pending row is still there: the joiner repeats its last word, and that may go better.
  const { agreement, challenges, attempts } = state
  return {
    state: { phase: 'completed', agreement, confirmBy: context.now + confirmationMs, challenges, attempts },
    effects: [],
  }
}

/** In 'activating' the answer is withheld; the shell brings the same message again once the row is written. */
function onConfirmed(
  context: InitiatorContext,
  state: InitiatorState,
  { peer, message }: Extract<InitiatorEvent, { type: 'confirmed' }>,
): InitiatorStep {
  switch (state.phase) {
    case 'open':
    case 'approving':
    case 'persisting':
    case 'activating':
      return silence(state)
    case 'completed':
    case 'unconfirmed': {
      if (!verifyAcknowledgement(state.agreement.pair, peer, message)) return silence(state)
      const { agreement, challenges, attempts } = state
      return {
        state: { phase: 'activating', agreement, challenges, attempts },
        effects: [{ type: 'persist', row: 'active', peer }],
      }
    }
    case 'paired':
      return verifyAcknowledgement(state.agreement.pair, peer, message)
        ? answer(state, { type: 'Acknowledged' })
        : silence(state)
    case 'ended':
      // Called off after the joiner had our Complete: it hears why, and lets go too.
      return state.winner !== null && state.winner.attempt.peer === peer
        ? answer(state, refuseResponse(context, state.winner, state.reason))
        : silence(state)
  }
}

function onCancelReceived(
  context: InitiatorContext,
  state: InitiatorState,
  { peer, message }: Extract<InitiatorEvent, { type: 'cancel-received' }>,
): InitiatorStep {
  const attempt = openAttemptOf(state, peer)
  if (attempt === undefined || !verifyCancel(context, attempt, message)) return silence(state)
  const noted: InitiatorEffect = { type: 'answer', message: { type: 'Acknowledged' } }
  if (winnerOf(state)?.attempt.peer === peer) {
    return canBeCalledOff(state) ? end(context, state, 'cancelled', noted) : { state, effects: [noted] }
  }
  return { state: { ...state, attempts: closeAttempt(state.attempts, attempt) }, effects: [noted] }
}

function onCancelled(context: InitiatorContext, state: InitiatorState): InitiatorStep {
  if (!canBeCalledOff(state)) return unchanged(state)
  const winner = winnerOf(state)
  if (winner === null) return end(context, state, 'cancelled')
  const message = makeCancel(context, winner.attempt)
  return end(context, state, 'cancelled', { type: 'send', peer: winner.attempt.peer, message })
}

/** Until the joiner's last word is in: after that both sides are paired, and revoking is the way out. */
function canBeCalledOff(state: InitiatorState): boolean {
  return state.phase !== 'activating' && state.phase !== 'paired' && state.phase !== 'ended'
}

/** Expiry itself is decided in `expire`, before any event; a tick is only an occasion for it. */
function onTick(context: InitiatorContext, state: InitiatorState): InitiatorStep {
  if (state.phase !== 'completed' || context.now < state.confirmBy) return unchanged(state)
  const { agreement, challenges, attempts } = state
  return {
    state: { phase: 'unconfirmed', agreement, endedAt: context.now, challenges, attempts },
    effects: [{ type: 'finished', outcome: 'unconfirmed', peer: agreement.pair.peer }],
  }
}

function expire(context: InitiatorContext, state: InitiatorState): InitiatorState {
  const over =
    (state.phase === 'open' && context.now >= state.expiresAt) ||
    (state.phase === 'approving' && context.now >= state.approveBy)
  return over ? end(context, state, 'expired').state : state
}

function end(
  context: InitiatorContext,
  state: InitiatorState,
  reason: RefusalReason,
  ...first: InitiatorEffect[]
): InitiatorStep {
  const winner = winnerOf(state)
  const { challenges, attempts } = state
  const ended = { phase: 'ended', reason, winner, endedAt: context.now, challenges, attempts } as const
  const written = state.phase === 'completed' || state.phase === 'unconfirmed'
  const forget: InitiatorEffect[] =
    written && winner !== null ? [{ type: 'forget', peer: winner.attempt.peer }] : []
  return { state: ended, effects: [...first, ...forget, finished(ended)] }
}

function finished(state: InitiatorState & { phase: 'ended' }): InitiatorEffect {
  return { type: 'finished', outcome: 'ended', reason: state.reason }
}

/** A holder of the code who comes too late learns why; nobody else gets this far. */
function reasonFor(state: InitiatorState): RefusalReason {
  return state.phase === 'ended' ? state.reason : 'used'
}

function attemptsOf({ attempts }: InitiatorState, peer: string): Attempt[] {
  return attempts.filter((attempt) => attempt.peer === peer)
}

function openAttemptOf(state: InitiatorState, peer: string): Attempt | undefined {
  return attemptsOf(state, peer).find((attempt) => !attempt.isClosed)
}

/** Closed attempts are remembered: there are `maxTries` of them at most. */
function closeAttempt(attempts: readonly Attempt[], closed: Attempt | undefined): Attempt[] {
  return attempts.map((attempt) => (attempt === closed ? { ...attempt, isClosed: true } : attempt))
}

function winnerOf(state: InitiatorState): Winner | null {
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

function answer(state: InitiatorState, message: PairingMessage): InitiatorStep {
  return { state, effects: [{ type: 'answer', message }] }
}

function silence(state: InitiatorState): InitiatorStep {
  return { state, effects: [{ type: 'silence' }] }
}

function unchanged(state: InitiatorState): InitiatorStep {
  return { state, effects: [] }
}
