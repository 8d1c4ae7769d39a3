/* oxlint-disable max-lines -- one state machine: every transition of the role in one place, as PROTOCOL.md has them */
import {
  answerChallenge,
  deriveCandidate,
  makeCancel,
  verifyCancel,
  verifyComplete,
  verifyRequestRefusal,
  verifyResponseRefusal,
  type Agreement,
  type Candidate,
  type Exchange,
} from './joiner-handshake.ts'
import {
  exchangeOf,
  type JoinerEffect,
  type JoinerEvent,
  type JoinerState,
  type JoinerStep,
  type JoinFailure,
} from './joiner-state.ts'
import { acknowledgementMs, approvalMs, maxTries, responseMs } from './limits.ts'
import type { MachineContext } from './machine.ts'
import type { PairingMessage } from './pairing-messages.ts'

/**
 * The side that types the code. One machine is one join: `advance` takes what happened and says what to do.
 * It touches nothing; time is in the context, fresh randomness in the events. PROTOCOL.md has its state table.
 * The file is long because it is that table, which is read in one piece.
 *
 *   searching -> responding -> deciding -> persisting -> confirming -> activating -> paired
 *                                                              \-> unfinished (the next connection finishes it)
 *   and from everywhere before `confirming`: failed
 */
export function advance(context: MachineContext, state: JoinerState, event: JoinerEvent): JoinerStep {
  switch (event.type) {
    case 'candidate':
      return onCandidate(context, state, event)
    case 'answered':
      return onAnswer(context, state, event)
    case 'cancel-received':
      return onCancelReceived(context, state, event)
    case 'approved':
      return onApproved(context, state)
    case 'declined':
      return state.phase === 'deciding' ? fail(context, state, 'declined') : unchanged(state)
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

function onCandidate(
  context: MachineContext,
  state: JoinerState,
  { peer, fresh }: Extract<JoinerEvent, { type: 'candidate' }>,
): JoinerStep {
  if (state.phase !== 'searching' || peer === context.localPeerId) return unchanged(state)
  const seed = state.seed ?? context.suite.extract(fresh.nonce, fresh.secret)
  return {
    state: { ...state, seed },
    effects: [{ type: 'ask-peer', peer, message: deriveCandidate(context, seed, peer).request }],
  }
}

function onAnswer(
  context: MachineContext,
  state: JoinerState,
  { peer, message }: Extract<JoinerEvent, { type: 'answered' }>,
): JoinerStep {
  switch (state.phase) {
    case 'searching':
      return state.seed === null
        ? unchanged(state)
        : onFirstAnswer(context, state, deriveCandidate(context, state.seed, peer), message)
    case 'responding':
      return state.exchange.candidate.peer === peer
        ? onResponseAnswer(context, state, state.exchange, message)
        : unchanged(state)
    case 'confirming':
      return state.agreement.pair.peer === peer
        ? onConfirmedAnswer(context, state, message)
        : unchanged(state)
    case 'deciding':
    case 'persisting':
    case 'activating':
    case 'paired':
    case 'unfinished':
    case 'failed':
      return unchanged(state)
  }
}

function onFirstAnswer(
  context: MachineContext,
  state: JoinerState & { phase: 'searching' },
  candidate: Candidate,
  message: PairingMessage,
): JoinerStep {
  if (message.type === 'Refused' && verifyRequestRefusal(context, candidate, message)) {
    return fail(context, state, message.reason)
  }
  const exchange = message.type === 'Challenge' ? answerChallenge(context, candidate, message) : null
  if (exchange === null) return unchanged(state)
  if (state.responses >= maxTries) return fail(context, state, 'too-many-tries')
  const { deadline, responses } = state
  return {
    state: {
      phase: 'responding',
      exchange,
      respondBy: context.now + responseMs,
      deadline,
      responses: responses + 1,
    },
    effects: [
      { type: 'show-digits', digits: exchange.digits },
      { type: 'repeat', peer: candidate.peer, message: exchange.response },
    ],
  }
}

function onResponseAnswer(
  context: MachineContext,
  state: JoinerState & { phase: 'responding' },
  exchange: Exchange,
  message: PairingMessage,
): JoinerStep {
  if (message.type === 'Waiting') return { state, effects: [{ type: 'waiting' }] }
  if (message.type === 'Refused' && verifyResponseRefusal(context, exchange, message)) {
    return fail(context, state, message.reason)
  }
  const agreement = message.type === 'Complete' ? verifyComplete(context, exchange, message) : null
  if (agreement === null) return unchanged(state)
  const { peer, name } = agreement.pair
  return {
    state: { phase: 'deciding', agreement, decideBy: context.now + approvalMs },
    effects: [{ type: 'ask', peer, name, digits: exchange.digits }],
  }
}

function onConfirmedAnswer(
  context: MachineContext,
  state: JoinerState & { phase: 'confirming' },
  message: PairingMessage,
): JoinerStep {
  const { agreement } = state
  if (message.type === 'Acknowledged') {
    return {
      state: { phase: 'activating', agreement },
      effects: [{ type: 'persist', row: 'active', pair: agreement.pair }],
    }
  }
  if (message.type !== 'Refused' || !verifyResponseRefusal(context, agreement.exchange, message)) {
    return unchanged(state)
  }
  return fail(context, state, message.reason)
}

function onCancelReceived(
  context: MachineContext,
  state: JoinerState,
  { peer, message }: Extract<JoinerEvent, { type: 'cancel-received' }>,
): JoinerStep {
  const candidate = exchangeOf(state)?.candidate
  const authentic = candidate?.peer === peer && verifyCancel(context, candidate, message)
  if (!authentic) return { state, effects: [{ type: 'silence' }] }
  const noted: JoinerEffect = { type: 'answer', message: { type: 'Acknowledged' } }
  // The initiator, once it has acknowledged, is paired and cannot take that back by a Cancel.
  if (state.phase === 'activating') return { state, effects: [noted] }
  const failed = fail(context, state, 'cancelled')
  // The side that cancelled need not be told that we let go.
  return {
    state: failed.state,
    effects: [noted, ...failed.effects.filter((effect) => effect.type !== 'send')],
  }
}

function onApproved(context: MachineContext, state: JoinerState): JoinerStep {
  if (state.phase !== 'deciding') return unchanged(state)
  if (context.now >= state.decideBy) return fail(context, state, 'expired')
  const { agreement } = state
  return {
    state: { phase: 'persisting', agreement },
    effects: [{ type: 'persist', row: 'confirming', pair: agreement.pair }],
  }
}

function onPersisted(context: MachineContext, state: JoinerState): JoinerStep {
  switch (state.phase) {
    case 'persisting': {
      const { agreement } = state
      const { peer, acknowledgement } = agreement.pair
      return {
        state: { phase: 'confirming', agreement, confirmBy: context.now + acknowledgementMs },
        effects: [{ type: 'repeat', peer, message: { type: 'Confirmed', acknowledgement } }],
      }
    }
    case 'activating': {
      const { peer } = state.agreement.pair
      return { state: { phase: 'paired', peer }, effects: [{ type: 'finished', outcome: 'paired', peer }] }
    }
    case 'failed': {
      // The join was called off while the row was being written.
      const pair = state.forgetWhenPersisted
      if (pair === null) return unchanged(state)
      return { state: { ...state, forgetWhenPersisted: null }, effects: [{ type: 'forget', pair }] }
    }
    case 'searching':
    case 'responding':
    case 'deciding':
    case 'confirming':
    case 'paired':
    case 'unfinished':
      return unchanged(state)
  }
}

function onPersistFailed(context: MachineContext, state: JoinerState): JoinerStep {
  if (state.phase === 'persisting') return fail(context, state, 'persist-failed')
  // The confirming row is there and the initiator trusts us: the next connection finishes it.
  return state.phase === 'activating' ? leaveUnfinished(state.agreement) : unchanged(state)
}

function onCancelled(context: MachineContext, state: JoinerState): JoinerStep {
  switch (state.phase) {
    case 'searching':
    case 'responding':
    case 'deciding':
    case 'persisting':
      return fail(context, state, 'cancelled')
    case 'confirming':
      // The last word is out and may have arrived: what it started can only be finished, or revoked.
      return leaveUnfinished(state.agreement)
    case 'activating':
    case 'paired':
    case 'unfinished':
    case 'failed':
      return unchanged(state)
  }
}

function onTick(context: MachineContext, state: JoinerState): JoinerStep {
  switch (state.phase) {
    case 'searching':
      return context.now >= state.deadline ? fail(context, state, 'not-found') : unchanged(state)
    case 'responding': {
      if (context.now < state.respondBy) return unchanged(state)
      const { deadline, responses } = state
      if (context.now >= deadline) return fail(context, state, 'interrupted')
      // A new seed: what was opened once must not be committed to again.
      return { state: { phase: 'searching', seed: null, deadline, responses }, effects: [] }
    }
    case 'deciding':
      return context.now >= state.decideBy ? fail(context, state, 'expired') : unchanged(state)
    case 'confirming':
      return context.now >= state.confirmBy ? leaveUnfinished(state.agreement) : unchanged(state)
    case 'persisting':
    case 'activating':
    case 'paired':
    case 'unfinished':
    case 'failed':
      return unchanged(state)
  }
}

function leaveUnfinished({ pair: { peer } }: Agreement): JoinerStep {
  return {
    state: { phase: 'unfinished', peer },
    effects: [{ type: 'finished', outcome: 'unfinished', peer }],
  }
}

/** Ends the join, takes back what was written, and tells an initiator that still waits. */
function fail(context: MachineContext, state: JoinerState, reason: JoinFailure): JoinerStep {
  const effects: JoinerEffect[] = []
  if (state.phase === 'confirming') effects.push({ type: 'forget', pair: state.agreement.pair })
  const otherWaits =
    state.phase === 'responding' || state.phase === 'deciding' || state.phase === 'persisting'
  const candidate = exchangeOf(state)?.candidate
  if (otherWaits && candidate !== undefined && !isRefusal(reason, state)) {
    effects.push({ type: 'send', peer: candidate.peer, message: makeCancel(context, candidate) })
  }
  const isBeingWritten = state.phase === 'persisting' && reason !== 'persist-failed'
  const forgetWhenPersisted = isBeingWritten ? state.agreement.pair : null
  return {
    state: { phase: 'failed', reason, forgetWhenPersisted },
    effects: [...effects, { type: 'finished', outcome: 'failed', reason }],
  }
}

/**
 * Whether the reason is the initiator's refusal: in 'responding' only the initiator itself can end a join for one of its reasons,
 * and then it does not wait.
 */
function isRefusal(reason: JoinFailure, state: JoinerState): boolean {
  return state.phase === 'responding' && reason !== 'cancelled' && reason !== 'interrupted'
}

function unchanged(state: JoinerState): JoinerStep {
  return { state, effects: [] }
}
