import { opensCommitment } from '../../src/pairing/initiator-handshake.ts'
import { advance } from '../../src/pairing/initiator.ts'
import { type InitiatorStep } from '../../src/pairing/initiator-state.ts'
import { maxTries } from '../../src/pairing/limits.ts'
import { scenarios } from './scenarios.ts'
import type { Scenario, Subject } from './world.ts'

type Initiator = Subject['initiator']

/** The initiator's machine with one rule taken out, by a wrapper: the shipped code is as it is. */
export const brokenInitiators: readonly { name: string; scenario: Scenario; initiator: Initiator }[] = [
  {
    name: 'the first winner does not take the invitation',
    scenario: scenarios.rivals,
    initiator(context, state, event) {
      const again =
        event.type === 'response' && state.phase === 'approving' && state.winner.attempt.peer !== event.peer
      const { challenges, attempts } = state
      const before = again
        ? ({ phase: 'open', expiresAt: context.now + 1, challenges, attempts } as const)
        : state
      return advance(context, before, event)
    },
  },
  {
    name: 'Complete is said before the row is stored',
    scenario: scenarios.oneJoiner,
    initiator(context, state, event) {
      const step = advance(context, state, event)
      if (event.type !== 'response' || state.phase !== 'persisting') return step
      return { ...step, effects: [{ type: 'answer', message: state.agreement.complete }] }
    },
  },
  {
    name: 'the initiator trusts before Confirmed',
    scenario: scenarios.oneJoiner,
    initiator(context, state, event) {
      const step = advance(context, state, event)
      if (event.type !== 'persisted' || step.state.phase !== 'completed') return step
      const { agreement, challenges, attempts } = step.state
      return {
        state: { phase: 'activating', agreement, challenges, attempts },
        effects: [{ type: 'persist', row: 'active', pair: agreement.pair }],
      }
    },
  },
  {
    name: 'misuse does not burn the code',
    scenario: scenarios.thief,
    initiator(context, state, event) {
      const step = advance(context, state, event)
      return event.type === 'response' && hasBurnt(step) ? { state, effects: [{ type: 'silence' }] } : step
    },
  },
  {
    name: "strangers' probes are counted",
    scenario: scenarios.stranger,
    initiator(context, state, event) {
      const step = advance(context, state, event)
      const isWrong = event.type === 'request' && step.effects.some(({ type }) => type === 'silence')
      return isWrong ? { ...step, state: { ...step.state, challenges: step.state.challenges + 1 } } : step
    },
  },
  {
    name: 'a wrong probe burns the code',
    scenario: scenarios.stranger,
    initiator(context, state, event) {
      const step = advance(context, state, event)
      const isWrong = event.type === 'request' && step.effects.some(({ type }) => type === 'silence')
      if (!isWrong || state.phase !== 'open') return step
      const { challenges, attempts } = state
      return {
        state: {
          phase: 'ended',
          reason: 'burnt',
          winner: null,
          pair: null,
          endedAt: 0,
          challenges,
          attempts,
        },
        effects: [{ type: 'silence' }],
      }
    },
  },
  {
    name: 'a Response is taken from any peer',
    scenario: scenarios.stranger,
    initiator(context, state, event) {
      if (event.type !== 'response') return advance(context, state, event)
      const attempt = state.attempts.find((each) => opensCommitment(context, each, event.message))
      return advance(context, state, { ...event, peer: attempt?.peer ?? event.peer })
    },
  },
  {
    name: 'a Cancel is taken from any peer',
    scenario: scenarios.stranger,
    initiator(context, state, event) {
      if (event.type !== 'cancel-received') return advance(context, state, event)
      return advance(context, state, { ...event, peer: state.attempts[0]?.peer ?? event.peer })
    },
  },
  {
    name: 'Confirmed is taken from any peer',
    scenario: scenarios.stranger,
    initiator(context, state, event) {
      if (event.type !== 'confirmed') return advance(context, state, event)
      return advance(context, state, { ...event, peer: state.attempts[0]?.peer ?? event.peer })
    },
  },
  {
    name: 'the code does not expire',
    scenario: scenarios.oneJoiner,
    initiator: (context, state, event) =>
      advance(state.phase === 'open' ? { ...context, now: 0 } : context, state, event),
  },
  {
    name: 'a late yes of the initiator counts',
    scenario: scenarios.oneJoiner,
    initiator: (context, state, event) =>
      advance(state.phase === 'approving' ? { ...context, now: state.approveBy - 1 } : context, state, event),
  },
  {
    name: 'a failure to store is taken for success by the initiator',
    scenario: scenarios.oneJoiner,
    initiator: (context, state, event) =>
      advance(context, state, event.type === 'persist-failed' ? { type: 'persisted' } : event),
  },
  {
    name: 'the initiator forgets to forget',
    scenario: scenarios.oneJoiner,
    initiator: (context, state, event) => without(advance(context, state, event), 'forget'),
  },
  {
    name: 'a repeated Response is not answered',
    scenario: scenarios.oneJoiner,
    initiator(context, state, event) {
      const isRepeated = event.type === 'response' && state.phase === 'completed'
      return isRepeated ? { state, effects: [{ type: 'silence' }] } : advance(context, state, event)
    },
  },
  {
    name: 'a repeated Confirmed is not answered',
    scenario: scenarios.oneJoiner,
    initiator(context, state, event) {
      const isRepeated = event.type === 'confirmed' && state.phase === 'paired'
      return isRepeated ? { state, effects: [{ type: 'silence' }] } : advance(context, state, event)
    },
  },
  {
    name: 'a late Response burns the code',
    scenario: scenarios.disorder,
    initiator(context, state, event) {
      const attempts = state.attempts.filter(({ isClosed }) => !isClosed)
      return advance(context, { ...state, attempts }, event)
    },
  },
  {
    name: 'Challenges without limit',
    scenario: scenarios.grinding,
    initiator: (context, state, event) =>
      advance(context, { ...state, challenges: Math.min(state.challenges, maxTries - 1) }, event),
  },
]

function hasBurnt({ state }: InitiatorStep): boolean {
  return state.phase === 'ended' && state.reason === 'burnt'
}

function without({ state, effects }: InitiatorStep, type: string): InitiatorStep {
  return { state, effects: effects.filter((effect) => effect.type !== type) }
}
