import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JoinerEvent, JoinerState } from '../../src/pairing/joiner-state.ts'
import { advance } from '../../src/pairing/joiner.ts'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import {
  aliceId,
  bobId,
  expectMessage,
  flipped,
  freshBytes,
  InitiatorParty,
  JoinerParty,
  malloryId,
  meet,
  type JoinerPhase,
} from './builders.ts'
import { assertComplete, describeEffects, rowsOf } from './state-table.ts'

const { messages, initiator, joiner } = meet()
const impatient = new JoinerParty({ state: joiner.persisting })
impatient.deliver({ type: 'cancelled' })
const states: Record<string, JoinerState> = { ...joiner, 'failed (row to come)': impatient.state }

interface Case {
  event: JoinerEvent
  now?: number
  /** Instead of the plain state. */
  state?: JoinerState
}

const { request, response, challenge, complete, cancelOfInitiator } = messages
const used = expectMessage(new InitiatorParty({ state: initiator.approving }).hear(bobId, request), 'Refused')
const declined = expectMessage(
  new InitiatorParty({ state: initiator.ended }).hear(bobId, response),
  'Refused',
)

/** What each event of the document's table is. */
const cases: Record<string, (state: JoinerState) => Case> = {
  'candidate: new': () => ({ event: { type: 'candidate', peer: malloryId, fresh: freshBytes(70) } }),
  'candidate: known': () => ({ event: { type: 'candidate', peer: aliceId, fresh: freshBytes(71) } }),
  'candidate: itself': () => ({ event: { type: 'candidate', peer: bobId, fresh: freshBytes(72) } }),
  'answered: Challenge': () => answered(challenge),
  'answered: Challenge, wrong probe': () => answered({ ...challenge, probe: flipped(challenge.probe) }),
  'answered: Challenge, the ninth': (state) => ({
    ...answered(challenge),
    state: state.phase === 'searching' ? { ...state, responses: 8 } : state,
  }),
  'answered: Refused to message 1': () => answered(used),
  'answered: Refused to message 3': () => answered(declined),
  'answered: Waiting': () => answered({ type: 'Waiting' }),
  'answered: Complete': () => answered(complete),
  'answered: Complete, wrong proof': () => answered({ ...complete, proof: flipped(complete.proof) }),
  'answered: Acknowledged': () => answered({ type: 'Acknowledged' }),
  'answered: by another': (state) => answered(expectedIn(state), malloryId),
  'cancel-received: right': () => callOff(cancelOfInitiator.mac),
  'cancel-received: wrong': () => callOff(messages.cancelOfJoiner.mac),
  'cancel-received: by another': () => callOff(cancelOfInitiator.mac, malloryId),
  approved: () => ({ event: { type: 'approved' } }),
  'approved: too late': () => ({ event: { type: 'approved' }, now: 60_000 }),
  declined: () => ({ event: { type: 'declined' } }),
  persisted: () => ({ event: { type: 'persisted' } }),
  'persist-failed': () => ({ event: { type: 'persist-failed' } }),
  cancelled: () => ({ event: { type: 'cancelled' } }),
  'tick: nothing due': () => ({ event: { type: 'tick' } }),
  'tick: deadline over': () => ({ event: { type: 'tick' }, now: 300_000 }),
  'tick: time to respond over': () => ({ event: { type: 'tick' }, now: 75_000 }),
  'tick: time to approve over': () => ({ event: { type: 'tick' }, now: 60_000 }),
  'tick: time to acknowledge over': () => ({ event: { type: 'tick' }, now: 60_000 }),
  'tick: long after': () => ({ event: { type: 'tick' }, now: 10_000_000 }),
}

const rows = rowsOf('Joiner', Object.keys(states))

test("the joiner's table has a row for every state and every kind of event", () => {
  const phases: Record<JoinerPhase, true> = {
    searching: true,
    responding: true,
    deciding: true,
    persisting: true,
    confirming: true,
    activating: true,
    paired: true,
    unfinished: true,
    failed: true,
  }
  const types: Record<JoinerEvent['type'], true> = {
    candidate: true,
    answered: true,
    'cancel-received': true,
    approved: true,
    declined: true,
    persisted: true,
    'persist-failed': true,
    cancelled: true,
    tick: true,
  }
  assertComplete('joiner', rows, states, { phases, types })
})

for (const row of rows) {
  test(`joiner, ${row.state}, ${row.event}: ${row.next}, ${row.effects}`, () => {
    const plain = states[row.state]
    const build = cases[row.event]
    assert.ok(plain && build, 'the document names a state or event that this test does not know')
    const { event, now = 0, state = plain } = build(plain)
    const step = advance({ ...new JoinerParty().context, now }, state, event)

    assert.equal(describeEffects(step.effects), row.effects)
    assert.equal(nameOf(step.state), row.next === 'same' ? nameOf(state) : row.next)
    if (row.next === 'same') assert.deepEqual(step.state, state)
  })
}

function nameOf(state: JoinerState): string {
  return state.phase === 'failed' && state.forgetWhenPersisted !== null ? 'failed (row to come)' : state.phase
}

function answered(message: PairingMessage, peer = aliceId): Case {
  return { event: { type: 'answered', peer, message } }
}

function callOff(mac: Uint8Array, peer = aliceId): Case {
  return { event: { type: 'cancel-received', peer, message: { type: 'Cancel', mac } } }
}

/** What would move this state on, if it came from the right peer. */
function expectedIn(state: JoinerState): PairingMessage {
  if (state.phase === 'searching') return challenge
  return state.phase === 'confirming' ? { type: 'Acknowledged' } : complete
}
