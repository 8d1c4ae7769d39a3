import {
  startInitiator,
  type InitiatorEvent,
  type InitiatorState,
  type InitiatorStep,
} from '../../src/pairing/initiator-state.ts'
import type { MachineContext } from '../../src/pairing/machine.ts'
import { startJoiner, type JoinerState } from '../../src/pairing/joiner-state.ts'
import { alice, answerOf, bob, newCode } from './pure-sides.ts'
import * as initiator from '../../src/pairing/initiator.ts'
import * as joiner from '../../src/pairing/joiner.ts'
import { fresh, makeRequest, makeResponse } from './by-hand.ts'
import { unless, type Threat, type Verdict } from './threat.ts'
import { asPeer } from '../peers.ts'

/** The pure machines, with a clock that only the attack moves. */
export const threats: Threat[] = [
  {
    row: 15,
    title: 'a code, and a question to a person, expire to the millisecond',
    attack: async () => boundaries(),
    without: [
      {
        what: 'the exact end of the code',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `context.now >= state.expiresAt`,
            replace: `context.now > state.expiresAt`,
          },
        ],
      },
      {
        what: "the exact end of the initiator's question",
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `context.now >= state.approveBy`,
            replace: `context.now > state.approveBy`,
          },
        ],
      },
      {
        what: "the exact end of the joiner's question",
        patches: [
          {
            file: 'src/pairing/joiner.ts',
            find: `if (context.now >= state.decideBy) return fail(context, state, 'expired')`,
            replace: `if (context.now > state.decideBy) return fail(context, state, 'expired')`,
          },
        ],
      },
    ],
  },
]

function boundaries(): Verdict {
  const expiresAt = 300_000
  const { asInitiator, asJoiner } = newCode()
  const candidate = makeRequest(asJoiner, asPeer(alice))
  const open = startInitiator(expiresAt)
  const requestAt = (now: number): InitiatorStep =>
    initiator.advance({ ...asInitiator, now }, open, {
      type: 'request',
      peer: asPeer(bob),
      message: candidate.request,
      fresh: fresh(),
    })
  const phaseAfterTick = (state: InitiatorState, now: number): string =>
    initiator.advance({ ...asInitiator, now }, state, { type: 'tick' }).state.phase

  const begun = requestAt(expiresAt - 1)
  const { response } = makeResponse(asJoiner, candidate, answerOf(begun, 'Challenge'))
  const respondAt = (now: number): InitiatorStep =>
    initiator.advance({ ...asInitiator, now }, begun.state, {
      type: 'response',
      peer: asPeer(bob),
      message: response,
    })
  const approving = respondAt(expiresAt - 1)
  const approveBy = expiresAt - 1 + 60_000
  const approveAt = (now: number): string =>
    initiator.advance({ ...asInitiator, now }, approving.state, { type: 'approved' }).state.phase

  const deciding = decidingJoiner(asJoiner, asInitiator)
  const decideAt = (now: number): string =>
    joiner.advance({ ...asJoiner, now }, deciding, { type: 'approved' }).state.phase
  const late = [0, 1].map((after) => ({
    request: requestAt(expiresAt + after).state.phase,
    response: respondAt(expiresAt + after).state.phase,
    tick: phaseAfterTick(open, expiresAt + after),
    approval: approveAt(approveBy + after),
    decision: decideAt(60_000 + after),
  }))
  return unless(
    {
      'the code ends too early':
        begun.state.phase !== 'open' ||
        approving.state.phase !== 'approving' ||
        phaseAfterTick(open, expiresAt - 1) !== 'open',
      'the question ends too early':
        approveAt(approveBy - 1) !== 'persisting' || decideAt(59_999) !== 'persisting',
      'the code is still good': late.some(({ request, response, tick }) =>
        [request, response, tick].some((phase) => phase !== 'ended'),
      ),
      "the initiator's question can still be answered": late.some(({ approval }) => approval !== 'ended'),
      "the joiner's question can still be answered": late.some(({ decision }) => decision !== 'failed'),
    },
    'good at -1 ms, over at 0 and +1 ms: request, Response, tick, both questions',
  )
}

/** A joiner whose person is asked at 0 ms. */
function decidingJoiner(asJoiner: MachineContext, asInitiator: MachineContext): JoinerState {
  const asked = joiner.advance(asJoiner, startJoiner(300_000), {
    type: 'candidate',
    peer: asPeer(alice),
    fresh: fresh(),
  })
  const question = asked.effects.find((effect) => effect.type === 'ask-peer')
  if (question === undefined) throw new Error('the joiner asks nobody')
  let shown = startInitiator(300_000)
  const hear = (event: InitiatorEvent): InitiatorStep => {
    const step = initiator.advance(asInitiator, shown, event)
    shown = step.state
    return step
  }
  const challenge = answerOf(
    hear({ type: 'request', peer: asPeer(bob), message: question.message, fresh: fresh() }),
    'Challenge',
  )
  const responding = joiner.advance(asJoiner, asked.state, {
    type: 'answered',
    peer: asPeer(alice),
    message: challenge,
  })
  const response = responding.effects.find((effect) => effect.type === 'repeat')?.message
  if (response?.type !== 'Response') throw new Error('the joiner does not respond')
  hear({ type: 'response', peer: asPeer(bob), message: response })
  hear({ type: 'approved' })
  hear({ type: 'persisted' })
  const { effects } = hear({ type: 'response', peer: asPeer(bob), message: response })
  const complete = effects.find((effect) => effect.type === 'answer')?.message
  if (complete?.type !== 'Complete') throw new Error('the initiator does not complete')
  return joiner.advance(asJoiner, responding.state, {
    type: 'answered',
    peer: asPeer(alice),
    message: complete,
  }).state
}
