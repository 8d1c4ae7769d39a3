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
  type HandshakeContext,
} from './joiner-handshake.ts'
import { acknowledgementMs, approvalMs, maxTries, responseMs } from './limits.ts'
import type { MessageOf, PairingMessage, RefusalReason } from './messages.ts'
import type { ProvisionalPair } from './provisional-pair.ts'

/**
 * The side that types the code. One machine is one join: `advance` takes what happened and says what to do.
 * It touches nothing; time is in the context, fresh randomness in the events. PROTOCOL.md has its state table.
 *
 *   searching -> responding -> deciding -> persisting -> confirming -> activating -> paired
 *                                                              \-> unfinished (the next connection finishes it)
 *   and from everywhere before `confirming`: failed
 */
export function advance(context: JoinerContext, state: JoinerState, event: JoinerEvent): JoinerStep {
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

export interface JoinerContext extends HandshakeContext {
  /** Monotonic milliseconds. */
  now: number
}

/** Why a join came to nothing: the initiator's reason, or one of our own. */
export type JoinFailure = RefusalReason | 'not-found' | 'interrupted' | 'persist-failed' | 'too-many-tries'

interface Search {
  /** When to stop looking. */
  readonly deadline: number
  /** Responses sent so far. */
  readonly responses: number
}

export type JoinerState =
  /**
   * What is said to each candidate follows from the seed, so nothing is kept about them: whoever floods us with peers
   * can neither fill our memory nor make us ask the honest one differently. Null until the search's first candidate.
   */
  | ({ readonly phase: 'searching'; readonly seed: Uint8Array | null } & Search)
  | ({ readonly phase: 'responding'; readonly exchange: Exchange; readonly respondBy: number } & Search)
  | { readonly phase: 'deciding'; readonly agreement: Agreement; readonly decideBy: number }
  | { readonly phase: 'persisting'; readonly agreement: Agreement }
  | { readonly phase: 'confirming'; readonly agreement: Agreement; readonly confirmBy: number }
  | { readonly phase: 'activating'; readonly agreement: Agreement }
  | { readonly phase: 'paired'; readonly peer: string }
  | { readonly phase: 'unfinished'; readonly peer: string }
  | { readonly phase: 'failed'; readonly reason: JoinFailure; readonly forgetWhenPersisted: string | null }

/** `peer` is always the one that the connection authenticated. */
export type JoinerEvent =
  | {
      type: 'candidate'
      peer: string
      /** 32 fresh random bytes each; those that come with a search's first candidate become its seed. */
      fresh: { nonce: Uint8Array; secret: Uint8Array }
    }
  /** What a peer answered to our last message to it. */
  | { type: 'answered'; peer: string; message: PairingMessage }
  | { type: 'cancel-received'; peer: string; message: MessageOf<'Cancel'> }
  /** This device's person said yes or no. */
  | { type: 'approved' }
  | { type: 'declined' }
  /** What the last `persist` effect asked for is durable, or could not be made so. */
  | { type: 'persisted' }
  | { type: 'persist-failed' }
  /** This device's person, or the program, calls the join off. */
  | { type: 'cancelled' }
  /** Time has passed. */
  | { type: 'tick' }

export type JoinerEffect =
  /** Send once and bring the answer back; nothing happens when none comes. */
  | { type: 'ask-peer'; peer: string; message: MessageOf<'PairingRequest'> }
  /** Send, and again while no decisive answer comes and the phase stays: every repetition is byte for byte the same. */
  | { type: 'repeat'; peer: string; message: MessageOf<'Response'> | MessageOf<'Confirmed'> }
  /** Send once; its answer does not matter. */
  | { type: 'send'; peer: string; message: PairingMessage }
  | { type: 'show-digits'; digits: string }
  /** The other person is being asked. */
  | { type: 'waiting' }
  /** Ask the person; the answer comes back as `approved` or `declined`. */
  | { type: 'ask'; peer: string; name: string; digits: string }
  | { type: 'persist'; row: 'confirming'; pair: ProvisionalPair }
  | { type: 'persist'; row: 'active'; peer: string }
  /** Drop the confirming row. */
  | { type: 'forget'; peer: string }
  | { type: 'finished'; outcome: 'paired' | 'unfinished'; peer: string }
  | { type: 'finished'; outcome: 'failed'; reason: JoinFailure }
  /** The cancel of the other side was authentic: answer it. */
  | { type: 'answer'; message: PairingMessage }
  | { type: 'silence' }

export interface JoinerStep {
  state: JoinerState
  effects: JoinerEffect[]
}

export function startJoiner(deadline: number): JoinerState {
  return { phase: 'searching', seed: null, deadline, responses: 0 }
}

function onCandidate(
  context: JoinerContext,
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
  context: JoinerContext,
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
  context: JoinerContext,
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
  context: JoinerContext,
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
  context: JoinerContext,
  state: JoinerState & { phase: 'confirming' },
  message: PairingMessage,
): JoinerStep {
  const { agreement } = state
  const { peer } = agreement.pair
  if (message.type === 'Acknowledged') {
    return {
      state: { phase: 'activating', agreement },
      effects: [{ type: 'persist', row: 'active', peer }],
    }
  }
  if (message.type !== 'Refused' || !verifyResponseRefusal(context, agreement.exchange, message)) {
    return unchanged(state)
  }
  return fail(context, state, message.reason)
}

function onCancelReceived(
  context: JoinerContext,
  state: JoinerState,
  { peer, message }: Extract<JoinerEvent, { type: 'cancel-received' }>,
): JoinerStep {
  const candidate = exchangeOf(state)?.candidate
  const authentic = candidate?.peer === peer && verifyCancel(context, candidate, message)
  if (!authentic) return { state, effects: [{ type: 'silence' }] }
  const noted: JoinerEffect = { type: 'answer', message: { type: 'Acknowledged' } }
  // Once the initiator has acknowledged, it is paired and cannot take that back by a Cancel.
  if (state.phase === 'activating') return { state, effects: [noted] }
  const failed = fail(context, state, 'cancelled')
  // The one who cancelled need not be told that we let go.
  return {
    state: failed.state,
    effects: [noted, ...failed.effects.filter((effect) => effect.type !== 'send')],
  }
}

function onApproved(context: JoinerContext, state: JoinerState): JoinerStep {
  if (state.phase !== 'deciding') return unchanged(state)
  if (context.now >= state.decideBy) return fail(context, state, 'expired')
  const { agreement } = state
  return {
    state: { phase: 'persisting', agreement },
    effects: [{ type: 'persist', row: 'confirming', pair: agreement.pair }],
  }
}

function onPersisted(context: JoinerContext, state: JoinerState): JoinerStep {
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
      // Called off while the row was being written.
      const peer = state.forgetWhenPersisted
      if (peer === null) return unchanged(state)
      return { state: { ...state, forgetWhenPersisted: null }, effects: [{ type: 'forget', peer }] }
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

function onPersistFailed(context: JoinerContext, state: JoinerState): JoinerStep {
  if (state.phase === 'persisting') return fail(context, state, 'persist-failed')
  // The confirming row is there and the initiator trusts us: the next connection finishes it.
  return state.phase === 'activating' ? leaveUnfinished(state.agreement) : unchanged(state)
}

function onCancelled(context: JoinerContext, state: JoinerState): JoinerStep {
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

function onTick(context: JoinerContext, state: JoinerState): JoinerStep {
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
function fail(context: JoinerContext, state: JoinerState, reason: JoinFailure): JoinerStep {
  const exchange = exchangeOf(state)
  const peer = exchange?.candidate.peer
  const effects: JoinerEffect[] = []
  if (state.phase === 'confirming' && peer !== undefined) effects.push({ type: 'forget', peer })
  const otherWaits =
    state.phase === 'responding' || state.phase === 'deciding' || state.phase === 'persisting'
  if (otherWaits && exchange !== null && peer !== undefined && !isRefusal(reason, state)) {
    effects.push({ type: 'send', peer, message: makeCancel(context, exchange.candidate) })
  }
  const forgetWhenPersisted =
    state.phase === 'persisting' && reason !== 'persist-failed' ? (peer ?? null) : null
  return {
    state: { phase: 'failed', reason, forgetWhenPersisted },
    effects: [...effects, { type: 'finished', outcome: 'failed', reason }],
  }
}

/** In 'responding' only the initiator itself can end a join for one of its reasons, and then it does not wait. */
function isRefusal(reason: JoinFailure, state: JoinerState): boolean {
  return state.phase === 'responding' && reason !== 'cancelled' && reason !== 'interrupted'
}

function exchangeOf(state: JoinerState): Exchange | null {
  switch (state.phase) {
    case 'responding':
      return state.exchange
    case 'deciding':
    case 'persisting':
    case 'confirming':
    case 'activating':
      return state.agreement.exchange
    case 'searching':
    case 'paired':
    case 'unfinished':
    case 'failed':
      return null
  }
}

function unchanged(state: JoinerState): JoinerStep {
  return { state, effects: [] }
}
