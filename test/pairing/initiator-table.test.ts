import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InitiatorEvent, InitiatorState } from '../../src/pairing/initiator-state.ts'
import { advance } from '../../src/pairing/initiator.ts'
import type { MessageOf } from '../../src/pairing/pairing-messages.ts'
import {
  aliceId,
  bobId,
  carolId,
  flipped,
  freshBytes,
  InitiatorParty,
  JoinerParty,
  malloryId,
  meet,
  type InitiatorPhase,
} from './builders.ts'
import { assertComplete, describeEffects, rowsOf } from './state-table.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

const { messages, initiator } = meet()
const calledOff = new InitiatorParty({ state: initiator.open })
calledOff.deliver({ type: 'cancelled' })

const agreed = new InitiatorParty({ state: initiator.completed })
agreed.deliver({ type: 'cancelled' })

const { ended, ...others } = initiator
const states: Record<string, InitiatorState> = {
  ...others,
  'ended (won)': ended,
  'ended (agreed)': agreed.state,
  'ended (alone)': calledOff.state,
}

interface Case {
  event: InitiatorEvent
  now?: number
  /** Instead of the plain state. */
  state?: InitiatorState
}

const { response, confirmed, cancelOfJoiner, carolRequest, carolResponse, cancelOfCarol } = messages
const daveId = malloryId
const daveRequest = new JoinerParty({ peer: daveId, seed: 90 }).find(aliceId)

/** What each event of the document's table is. */
const cases: Record<string, (state: InitiatorState) => Case> = {
  'request: wrong probe': () => ask(daveId, { ...daveRequest, probe: flipped(daveRequest.probe) }),
  'request: right probe': () => ask(daveId, daveRequest),
  'request: repeated': () => ask(carolId, carolRequest),
  'request: called off': (state) => ({ ...ask(carolId, carolRequest), state: withoutCarol(state) }),
  'request: fifth at once': (state) => ({ ...ask(daveId, daveRequest), state: withAttempts(state, 4) }),
  'request: ninth': (state) => ({ ...ask(daveId, daveRequest), state: { ...state, challenges: 8 } }),
  'request: too late': () => ({ ...ask(daveId, daveRequest), now: 300_000 }),
  'response: no Challenge': () => ({ event: { type: 'response', peer: daveId, message: response } }),
  'response: right': () => respond(bobId, response),
  'response: wrong': () => respond(bobId, { ...response, proof: flipped(response.proof) }),
  'response: late, of a closed attempt': (state) => ({
    ...respond(bobId, response),
    state: askedAnew(state),
  }),
  'response: too late': () => ({ ...respond(bobId, response), now: 300_000 }),
  "response: another's": () => respond(carolId, carolResponse),
  "response: another's, wrong": () => respond(carolId, { ...carolResponse, sealed: response.sealed }),
  'confirmed: right': () => ({ event: { type: 'confirmed', peer: bobId, message: confirmed } }),
  'confirmed: wrong': () => ({
    event: {
      type: 'confirmed',
      peer: bobId,
      message: { ...confirmed, acknowledgement: flipped(confirmed.acknowledgement) },
    },
  }),
  "confirmed: another's": () => ({ event: { type: 'confirmed', peer: carolId, message: confirmed } }),
  'cancel-received: right': () => callOff(bobId, cancelOfJoiner),
  'cancel-received: wrong': () => callOff(bobId, cancelOfCarol),
  "cancel-received: another's": () => callOff(carolId, cancelOfCarol),
  approved: () => ({ event: { type: 'approved' } }),
  'approved: too late': () => ({ event: { type: 'approved' }, now: 60_000 }),
  declined: () => ({ event: { type: 'declined' } }),
  persisted: () => ({ event: { type: 'persisted' } }),
  'persist-failed': () => ({ event: { type: 'persist-failed' } }),
  cancelled: () => ({ event: { type: 'cancelled' } }),
  'tick: nothing due': () => ({ event: { type: 'tick' } }),
  'tick: lifetime over': () => ({ event: { type: 'tick' }, now: 300_000 }),
  'tick: time to approve over': () => ({ event: { type: 'tick' }, now: 60_000 }),
  'tick: time to confirm over': () => ({ event: { type: 'tick' }, now: 120_000 }),
  'tick: long after': () => ({ event: { type: 'tick' }, now: 10_000_000 }),
}

const rows = rowsOf('Initiator', Object.keys(states))

test("the initiator's table has a row for every state and every kind of event", () => {
  const phases: Record<InitiatorPhase, true> = {
    open: true,
    approving: true,
    persisting: true,
    completed: true,
    unconfirmed: true,
    activating: true,
    paired: true,
    ended: true,
  }
  const types: Record<InitiatorEvent['type'], true> = {
    request: true,
    response: true,
    confirmed: true,
    'cancel-received': true,
    approved: true,
    declined: true,
    persisted: true,
    'persist-failed': true,
    cancelled: true,
    tick: true,
  }
  assertComplete('initiator', rows, states, { phases, types })
})

for (const row of rows) {
  test(`initiator, ${row.state}, ${row.event}: ${row.next}, ${row.effects}`, () => {
    const plain = states[row.state]
    const build = cases[row.event]
    assert.ok(plain && build, 'the document names a state or event that this test does not know')
    const { event, now = 0, state = plain } = build(plain)
    const step = advance({ ...new InitiatorParty().context, now }, state, event)

    const reason = state.phase === 'ended' ? state.reason : ''
    assert.equal(describeEffects(step.effects), row.effects.replace('(reason)', `(${reason})`))
    assert.equal(step.state.phase, row.next === 'same' ? state.phase : row.next)
    // A Challenge adds an attempt, and a Cancel of a bystander closes one; otherwise nothing at all may change.
    const attemptsMayChange = row.effects === 'answer Challenge' || row.event.startsWith('cancel-received')
    if (row.next === 'same' && !attemptsMayChange) assert.deepEqual(step.state, state)
  })
}

test("a bystander's Cancel closes its attempt and nothing else", () => {
  for (const state of Object.values(states)) {
    const party = new InitiatorParty({ state })
    party.hear(carolId, cancelOfCarol)
    assert.deepEqual(
      party.state.attempts,
      state.attempts.map((attempt) => ({ ...attempt, isClosed: attempt.peer === carolId })),
    )
    assert.deepEqual({ ...party.state, attempts: null }, { ...state, attempts: null })
  }
})

function ask(peer: PeerId, message: MessageOf<'PairingRequest'>): Case {
  return { event: { type: 'request', peer, message, fresh: freshBytes(200) } }
}

function respond(peer: PeerId, message: MessageOf<'Response'>): Case {
  return { event: { type: 'response', peer, message } }
}

function callOff(peer: PeerId, message: MessageOf<'Cancel'>): Case {
  return { event: { type: 'cancel-received', peer, message } }
}

function withoutCarol(state: InitiatorState): InitiatorState {
  const party = new InitiatorParty({ state })
  party.hear(carolId, cancelOfCarol)
  return party.state
}

/** Bob has asked with other bytes since. */
function askedAnew(state: InitiatorState): InitiatorState {
  const party = new InitiatorParty({ state })
  party.hear(bobId, new JoinerParty({ seed: 95 }).find(aliceId))
  return party.state
}

function withAttempts(state: InitiatorState, count: number): InitiatorState {
  const [first] = state.attempts
  assert.ok(first)
  return {
    ...state,
    attempts: Array.from({ length: count }, (_, index) => ({ ...first, peer: asPeer(`peer ${index}`) })),
  }
}
