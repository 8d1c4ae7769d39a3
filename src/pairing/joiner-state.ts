import type { Agreement, Exchange } from './joiner-handshake.ts'
import type { CommonEffect, LocalEvent, Step } from './machine.ts'
import type { MessageOf, PairingMessage, RefusalReason } from './pairing-messages.ts'
import type { ProvisionalPair } from './provisional-pair.ts'
import type { PeerId } from './peer-id.ts'

/** States, events and effects of a join. joiner.ts says how they follow. */

/** Reason of a join's failure: the initiator's, or one of our own. */
export type JoinFailure = RefusalReason | 'not-found' | 'interrupted' | 'persist-failed' | 'too-many-tries'

interface Search {
  /** End of the search. */
  readonly deadline: number
  /** Number of Responses sent so far. */
  readonly responses: number
}

export type JoinerState =
  /**
   * Seed of all messages to the candidates, so nothing is kept about them: a flood of peers can neither fill our memory nor make
   * us ask the honest one differently. Null until the search's first candidate.
   */
  | ({ readonly phase: 'searching'; readonly seed: Uint8Array | null } & Search)
  | ({ readonly phase: 'responding'; readonly exchange: Exchange; readonly respondBy: number } & Search)
  | { readonly phase: 'deciding'; readonly agreement: Agreement; readonly decideBy: number }
  | { readonly phase: 'persisting'; readonly agreement: Agreement }
  | { readonly phase: 'confirming'; readonly agreement: Agreement; readonly confirmBy: number }
  | { readonly phase: 'activating'; readonly agreement: Agreement }
  | { readonly phase: 'paired'; readonly peer: PeerId }
  | { readonly phase: 'unfinished'; readonly peer: PeerId }
  | {
      readonly phase: 'failed'
      readonly reason: JoinFailure
      readonly forgetWhenPersisted: ProvisionalPair | null
    }

/** Events of a join; `peer` is always the one that the connection authenticated. */
export type JoinerEvent =
  | {
      type: 'candidate'
      peer: PeerId
      /** 32 fresh random bytes each; those that come with a search's first candidate become its seed. */
      fresh: { nonce: Uint8Array; secret: Uint8Array }
    }
  /** Answer of a peer to our last message to it. */
  | { type: 'answered'; peer: PeerId; message: PairingMessage }
  | { type: 'cancel-received'; peer: PeerId; message: MessageOf<'Cancel'> }
  | LocalEvent

export type JoinerEffect =
  | CommonEffect<'confirming'>
  /** Send once and bring the answer back; nothing happens when none comes. */
  | { type: 'ask-peer'; peer: PeerId; message: MessageOf<'PairingRequest'> }
  /** Send, and again while no decisive answer comes and the phase stays: every repetition is byte for byte the same. */
  | { type: 'repeat'; peer: PeerId; message: MessageOf<'Response'> | MessageOf<'Confirmed'> }
  | { type: 'show-digits'; digits: string }
  /** The other person is being asked. */
  | { type: 'waiting' }
  | { type: 'finished'; outcome: 'paired' | 'unfinished'; peer: PeerId }
  | { type: 'finished'; outcome: 'failed'; reason: JoinFailure }

export type JoinerStep = Step<JoinerState, JoinerEffect>

export function startJoiner(deadline: number): JoinerState {
  return { phase: 'searching', seed: null, deadline, responses: 0 }
}

/** Time, by the monotonic clock, at which a `tick` changes something; null when nothing is due. */
export function joinerDueAt(state: JoinerState): number | null {
  switch (state.phase) {
    case 'searching':
      return state.deadline
    case 'responding':
      return state.respondBy
    case 'deciding':
      return state.decideBy
    case 'confirming':
      return state.confirmBy
    case 'persisting':
    case 'activating':
    case 'paired':
    case 'unfinished':
    case 'failed':
      return null
  }
}

export function exchangeOf(state: JoinerState): Exchange | null {
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
