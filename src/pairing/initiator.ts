/* oxlint-disable max-lines -- one state machine: every transition of the role in one place, as PROTOCOL.md has them */
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
  type Winner,
} from './initiator-handshake.ts'
import {
  attemptsOf,
  closeAttempt,
  openAttemptOf,
  winnerOf,
  type InitiatorEffect,
  type InitiatorEvent,
  type InitiatorState,
  type InitiatorStep,
} from './initiator-state.ts'
import { approvalMs, attemptMs, confirmationMs, maxOpenAttempts, maxTries } from './limits.ts'
import type { MachineContext } from './machine.ts'
import type { PairingMessage, RefusalReason } from './pairing-messages.ts'
import { sameMac } from './proofs.ts'

/**
 * The side that shows the code. One machine is one invitation: `advance` takes what happened and says what to do.
 * It touches nothing; time is in the context, fresh randomness in the events. PROTOCOL.md has its state table.
 * The file is long because it is that table, which is read in one piece.
 */
export function advance(
  context: MachineContext,
  before: InitiatorState,
  event: InitiatorEvent,
): InitiatorStep {
  const state = expire(context, before)
  const step = handle(context, state, event)
  if (before === state || state.phase !== 'ended') return step
  return { state: step.state, effects: [finished(state), ...step.effects] }
}

function handle(context: MachineContext, state: InitiatorState, event: InitiatorEvent): InitiatorStep {
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
  context: MachineContext,
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
  context: MachineContext,
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
    // A late Response comes from an honest joiner that has asked anew since.
    const isLate = attemptsOf(state, peer).some(
      (earlier) => earlier.isClosed && opensCommitment(context, earlier, message),
    )
    // The right probe with a wrong opening or proof: somebody stole the code, and it is worth nothing any more.
    return isLate ? silence(state) : end(context, state, 'burnt', { type: 'silence' })
  }
  return {
    state: { ...tries(state), phase: 'approving', winner: verified, approveBy: context.now + approvalMs },
    effects: [
      { type: 'answer', message: { type: 'Waiting' } },
      { type: 'ask', peer, name: verified.name, digits: verified.digits },
    ],
  }
}

/** Repeats the answer that stands now to the same Response, and changes nothing. */
function repeatAnswer(context: MachineContext, state: InitiatorState, winner: Winner): InitiatorStep {
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

function approve(context: MachineContext, state: InitiatorState & { phase: 'approving' }): InitiatorStep {
  const agreement = makeAgreement(context, state.winner)
  return {
    state: { ...tries(state), phase: 'persisting', agreement },
    effects: [{ type: 'persist', row: 'pending', pair: agreement.pair }],
  }
}

function onPersisted(context: MachineContext, state: InitiatorState): InitiatorStep {
  switch (state.phase) {
    case 'persisting':
      return { state: complete(context, state), effects: [] }
    case 'activating': {
      const { agreement } = state
      return {
        state: { ...tries(state), phase: 'paired', agreement, endedAt: context.now },
        effects: [{ type: 'finished', outcome: 'paired', peer: agreement.pair.peer }],
      }
    }
    case 'ended':
      // The invitation was called off while the pending row was being written.
      return state.pair === null
        ? unchanged(state)
        : { state, effects: [{ type: 'forget', pair: state.pair }] }
    case 'open':
    case 'approving':
    case 'completed':
    case 'unconfirmed':
    case 'paired':
      return unchanged(state)
  }
}

function onPersistFailed(context: MachineContext, state: InitiatorState): InitiatorStep {
  if (state.phase === 'persisting') return end(context, state, 'failed')
  if (state.phase !== 'activating') return unchanged(state)
  // The pending row is still there: the joiner repeats its last word, and that may go better.
  return { state: complete(context, state), effects: [] }
}

/** Completes: from now on the Response is answered by Complete, and the joiner's last word is awaited. */
function complete(context: MachineContext, state: InitiatorState & { agreement: Agreement }): InitiatorState {
  const { agreement } = state
  return { ...tries(state), phase: 'completed', agreement, confirmBy: context.now + confirmationMs }
}

/**
 * Takes the joiner's last word. In 'activating' the answer is withheld; the shell brings the same message again once the row is
 * written.
 */
function onConfirmed(
  context: MachineContext,
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
      const { agreement } = state
      return {
        state: { ...tries(state), phase: 'activating', agreement },
        effects: [{ type: 'persist', row: 'active', pair: agreement.pair }],
      }
    }
    case 'paired':
      return verifyAcknowledgement(state.agreement.pair, peer, message)
        ? answer(state, { type: 'Acknowledged' })
        : silence(state)
    case 'ended':
      // A joiner that has our Complete hears why it was called off, and lets go too.
      return state.winner !== null && state.pair !== null && verifyAcknowledgement(state.pair, peer, message)
        ? answer(state, refuseResponse(context, state.winner, state.reason))
        : silence(state)
  }
}

function onCancelReceived(
  context: MachineContext,
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

function onCancelled(context: MachineContext, state: InitiatorState): InitiatorStep {
  if (!canBeCalledOff(state)) return unchanged(state)
  const winner = winnerOf(state)
  if (winner === null) return end(context, state, 'cancelled')
  const message = makeCancel(context, winner.attempt)
  return end(context, state, 'cancelled', { type: 'send', peer: winner.attempt.peer, message })
}

/** Whether the joiner's last word is still out: after it both sides are paired, and revoking is the way out. */
function canBeCalledOff(state: InitiatorState): boolean {
  return state.phase !== 'activating' && state.phase !== 'paired' && state.phase !== 'ended'
}

/** Handles a tick, which is only an occasion: expiry itself is decided in `expire`, before any event. */
function onTick(context: MachineContext, state: InitiatorState): InitiatorStep {
  if (state.phase !== 'completed' || context.now < state.confirmBy) return unchanged(state)
  const { agreement } = state
  return {
    state: { ...tries(state), phase: 'unconfirmed', agreement, endedAt: context.now },
    effects: [{ type: 'finished', outcome: 'unconfirmed', peer: agreement.pair.peer }],
  }
}

function expire(context: MachineContext, state: InitiatorState): InitiatorState {
  const over =
    (state.phase === 'open' && context.now >= state.expiresAt) ||
    (state.phase === 'approving' && context.now >= state.approveBy)
  return over ? end(context, state, 'expired').state : state
}

function end(
  context: MachineContext,
  state: InitiatorState,
  reason: RefusalReason,
  ...first: InitiatorEffect[]
): InitiatorStep {
  const pair = 'agreement' in state ? state.agreement.pair : null
  const ended = {
    ...tries(state),
    phase: 'ended',
    reason,
    winner: winnerOf(state),
    pair,
    endedAt: context.now,
  } as const
  const written = state.phase === 'completed' || state.phase === 'unconfirmed'
  const forget: InitiatorEffect[] = written && pair !== null ? [{ type: 'forget', pair }] : []
  return { state: ended, effects: [...first, ...forget, finished(ended)] }
}

function finished(state: InitiatorState & { phase: 'ended' }): InitiatorEffect {
  return { type: 'finished', outcome: 'ended', reason: state.reason }
}

/** Reason for a holder of the code who comes too late; nobody else gets this far. */
function reasonFor(state: InitiatorState): RefusalReason {
  return state.phase === 'ended' ? state.reason : 'used'
}

/** Counts that every state of an invitation carries on. */
function tries({ challenges, attempts }: InitiatorState): Pick<InitiatorState, 'challenges' | 'attempts'> {
  return { challenges, attempts }
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
