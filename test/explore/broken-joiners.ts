import { advance } from '../../src/pairing/joiner.ts'
import { maxTries } from '../../src/pairing/limits.ts'
import { scenarios } from './scenarios.ts'
import type { Scenario, Subject } from './world.ts'

type Joiner = Subject['joiner']

/** The joiner's machine with one rule taken out, by a wrapper: the shipped code is as it is. */
export const brokenJoiners: readonly { name: string; scenario: Scenario; joiner: Joiner }[] = [
  {
    name: 'the joiner trusts on Complete without asking its own person',
    scenario: scenarios.oneJoiner,
    joiner(context, state, event) {
      const step = advance(context, state, event)
      return step.state.phase === 'deciding' ? advance(context, step.state, { type: 'approved' }) : step
    },
  },
  {
    name: 'the joiner says Confirmed before the row is stored',
    scenario: scenarios.oneJoiner,
    joiner(context, state, event) {
      const step = advance(context, state, event)
      if (event.type !== 'approved' || step.state.phase !== 'persisting') return step
      const next = advance(context, step.state, { type: 'persisted' })
      return { state: next.state, effects: [...step.effects, ...next.effects] }
    },
  },
  {
    name: 'the joiner trusts before Acknowledged',
    scenario: scenarios.oneJoiner,
    joiner(context, state, event) {
      const step = advance(context, state, event)
      if (event.type !== 'persisted' || step.state.phase !== 'confirming') return step
      const { agreement } = step.state
      return {
        state: { phase: 'activating', agreement },
        effects: [{ type: 'persist', row: 'active', pair: agreement.pair }],
      }
    },
  },
  {
    name: 'a late yes of the joiner counts',
    scenario: scenarios.oneJoiner,
    joiner: (context, state, event) =>
      advance(state.phase === 'deciding' ? { ...context, now: state.decideBy - 1 } : context, state, event),
  },
  {
    name: 'a failure to store is taken for success by the joiner',
    scenario: scenarios.oneJoiner,
    joiner: (context, state, event) =>
      advance(context, state, event.type === 'persist-failed' ? { type: 'persisted' } : event),
  },
  {
    name: 'the joiner forgets to forget',
    scenario: scenarios.oneJoiner,
    joiner(context, state, event) {
      const { state: next, effects } = advance(context, state, event)
      return { state: next, effects: effects.filter(({ type }) => type !== 'forget') }
    },
  },
  {
    name: 'the joiner takes answers from any peer',
    scenario: scenarios.stranger,
    joiner(context, state, event) {
      const peer =
        'exchange' in state
          ? state.exchange.candidate.peer
          : 'agreement' in state
            ? state.agreement.pair.peer
            : null
      return advance(context, state, event.type === 'answered' && peer !== null ? { ...event, peer } : event)
    },
  },
  {
    name: 'Responses without limit',
    scenario: scenarios.luring,
    joiner: (context, state, event) =>
      advance(
        context,
        event.type === 'tick' && 'responses' in state
          ? { ...state, responses: Math.min(state.responses, maxTries - 2) }
          : state,
        event,
      ),
  },
]
