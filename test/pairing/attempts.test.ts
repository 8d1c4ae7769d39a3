import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { maxOpenAttempts, maxTries } from '../../src/pairing/limits.ts'
import type { MessageOf } from '../../src/pairing/pairing-messages.ts'
import {
  aliceId,
  bobId,
  carolId,
  code,
  expectMessage,
  flipped,
  InitiatorParty,
  JoinerParty,
  meet,
  otherCode,
} from './builders.ts'
import { opensAttempt } from '../../src/pairing/initiator-state.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

const { messages, initiator } = meet()

test('threat 18: the ninth right probe burns the code, from eight peers and one', () => {
  const alice = new InitiatorParty()
  for (let index = 0; index < maxTries; index++) {
    alice.now = index * 10_000
    assert.equal(alice.hear(asPeer(`peer ${index}`), probeOf(asPeer(`peer ${index}`)))?.type, 'Challenge')
  }
  const refused = alice.hear(bobId, probeOf(bobId))
  assert.equal(refused?.type === 'Refused' && refused.reason, 'burnt')
  assert.equal(alice.state.phase, 'ended')
  assert.equal(alice.state.challenges, maxTries)
})

test('threat 18: the ninth right probe burns the code, also when all come from one peer', () => {
  const alice = new InitiatorParty()
  for (let seed = 0; seed < maxTries; seed++) {
    assert.equal(alice.hear(bobId, probeOf(bobId, seed))?.type, 'Challenge')
    assert.equal(alice.state.attempts.filter((attempt) => !attempt.isClosed).length, 1)
  }
  assert.equal(alice.hear(bobId, probeOf(bobId, maxTries))?.type, 'Refused')
  assert.equal(alice.state.phase === 'ended' && alice.state.reason, 'burnt')
})

test('threat 18: calling an attempt off does not give its try back', () => {
  const alice = new InitiatorParty()
  for (let seed = 0; seed < maxTries; seed++) {
    const thief = new JoinerParty({ seed })
    thief.hear(aliceId, expectMessage(alice.hear(bobId, thief.find(aliceId)), 'Challenge'))
    const cancel = thief.deliver({ type: 'cancelled' }).find((effect) => effect.type === 'send')
    assert.ok(cancel)
    assert.equal(alice.hear(bobId, cancel.message)?.type, 'Acknowledged')
  }
  assert.equal(alice.state.challenges, maxTries)
  assert.equal(alice.hear(bobId, probeOf(bobId, 99))?.type, 'Refused')
})

test("threat 18: 5,000 strangers' probes are never counted, and the code still works", () => {
  const alice = new InitiatorParty()
  const request = probeOf(bobId)
  for (let index = 0; index < 2_500; index++) {
    assert.equal(alice.hear(asPeer(`stranger ${index}`), request), null)
    assert.equal(alice.hear(bobId, { ...request, probe: flipped(request.probe, index % 16) }), null)
  }
  const stranger = new JoinerParty({ keys: otherCode })
  assert.equal(alice.hear(bobId, stranger.find(aliceId)), null)
  assert.deepEqual(alice.state, new InitiatorParty().state)
  assert.equal(alice.hear(bobId, request)?.type, 'Challenge')
})

test("threat 18: strangers' Responses, Confirmeds and Cancels never burn anything", () => {
  const alice = new InitiatorParty({ state: initiator.open })
  for (let index = 0; index < 100; index++) {
    const peer = `stranger ${index}`
    for (const message of [messages.response, messages.confirmed, messages.cancelOfJoiner]) {
      assert.equal(alice.hear(asPeer(peer), message), null)
    }
  }
  assert.deepEqual(alice.state, initiator.open)
})

test("an honest joiner's late Response to an earlier Challenge burns nothing", () => {
  const alice = new InitiatorParty()
  const first = new JoinerParty({ seed: 1 })
  const late = first.hear(aliceId, expectMessage(alice.hear(bobId, first.find(aliceId)), 'Challenge'))
  const again = new JoinerParty({ seed: 2 })
  const response = again.hear(aliceId, expectMessage(alice.hear(bobId, again.find(aliceId)), 'Challenge'))
  assert.ok(late && response)
  assert.equal(alice.hear(bobId, late), null)
  assert.equal(alice.state.phase, 'open')
  assert.equal(alice.hear(bobId, probeOf(bobId, 1)), null, 'the earlier attempt cannot be taken up again')
  assert.equal(alice.hear(bobId, response)?.type, 'Waiting')
})

test('a late Response of another peer is no excuse for a wrong one', () => {
  const alice = new InitiatorParty()
  const first = new JoinerParty({ seed: 1 })
  const late = first.hear(aliceId, expectMessage(alice.hear(bobId, first.find(aliceId)), 'Challenge'))
  alice.hear(bobId, probeOf(bobId, 2))
  alice.hear(carolId, probeOf(carolId, 3))
  assert.ok(late)
  assert.equal(alice.hear(carolId, late), null)
  assert.equal(alice.state.phase === 'ended' && alice.state.reason, 'burnt')
})

test('a fifth attempt at the same time waits, is not counted, and gets its turn', () => {
  const alice = new InitiatorParty()
  for (let index = 0; index < maxOpenAttempts; index++)
    alice.hear(asPeer(`peer ${index}`), probeOf(asPeer(`peer ${index}`)))
  assert.equal(alice.hear(bobId, probeOf(bobId)), null)
  assert.equal(alice.state.challenges, maxOpenAttempts)
  alice.now = 10_000
  assert.equal(alice.hear(bobId, probeOf(bobId))?.type, 'Challenge')
})

test('threat 19: one peer over eight addresses at once is one attempt', () => {
  const alice = new InitiatorParty()
  const bob = new JoinerParty()
  const answers = Array.from({ length: 8 }, () => alice.hear(bobId, bob.find(aliceId)))
  assert.equal(alice.state.challenges, 1)
  assert.equal(alice.state.attempts.length, 1)
  for (const answer of answers) assert.deepEqual(answer, answers[0])
  assert.ok(answers[0])
  assert.equal(bob.hear(aliceId, answers[0])?.type, 'Response')
  assert.equal(bob.hear(aliceId, answers[0]), null, 'the other answers are of no use any more')
  assert.equal(bob.state.phase, 'responding')
})

test('threat 13: two joiners race one code: whatever the order, exactly one wins, and the other is told', () => {
  const steps = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(steps, fc.boolean(), (order, approves) => {
      const alice = new InitiatorParty()
      const joiners = [new JoinerParty(), new JoinerParty({ peer: carolId, seed: 50 })]
      // Each joiner takes four steps in its own order; the shuffle decides how the two interleave.
      for (const step of order) {
        const joiner = joiners[step % 2]
        assert.ok(joiner)
        takeStep(alice, joiner)
        if (alice.state.phase === 'approving' && approves) {
          alice.deliver({ type: 'approved' })
          alice.deliver({ type: 'persisted' })
        }
      }
      assert.equal(alice.effects.filter((effect) => effect.type === 'ask').length, 1)
      const outcomes = joiners.map(({ state }) => (state.phase === 'failed' ? state.reason : 'won'))
      assert.deepEqual(outcomes.sort(), ['used', 'won'])
    }),
    { numRuns: 30 },
  )
})

test('a joiner sends at most eight Responses, each to a commitment of its own, and gives up at the ninth Challenge', () => {
  const bob = new JoinerParty({ deadline: 10_000_000 })
  const commitments = new Set<string>()
  const challenge = () => {
    const request = bob.find(aliceId)
    commitments.add(request.commitment.join())
    return expectMessage(new InitiatorParty().hear(bobId, request), 'Challenge')
  }
  for (let round = 0; round < maxTries; round++) {
    assert.equal(bob.hear(aliceId, challenge())?.type, 'Response')
    bob.now += 75_000
    bob.deliver({ type: 'tick' })
    assert.equal(bob.state.phase, 'searching')
  }
  assert.equal(bob.hear(aliceId, challenge()), null)
  assert.equal(bob.state.phase === 'failed' && bob.state.reason, 'too-many-tries')
  assert.equal(commitments.size, maxTries + 1)
})

test('the invitation that a Response belongs to is told by its opening', () => {
  const context = { ...new InitiatorParty({ keys: code }).context, now: 0 }
  assert.equal(opensAttempt(context, initiator.open, bobId, messages.response), true)
  assert.equal(opensAttempt(context, initiator.ended, bobId, messages.response), true)
  assert.equal(opensAttempt(context, initiator.open, bobId, messages.carolResponse), false)
  assert.equal(opensAttempt(context, initiator.open, carolId, messages.response), false)
  assert.equal(opensAttempt(context, new InitiatorParty().state, bobId, messages.response), false)
})

function probeOf(peer: PeerId, seed = 0): MessageOf<'PairingRequest'> {
  return new JoinerParty({ peer, seed }).find(aliceId)
}

/** The joiner says what it has to say next, and hears the answer. */
function takeStep(alice: InitiatorParty, joiner: JoinerParty): void {
  const peer = joiner.context.localPeerId
  const { state } = joiner
  if (state.phase !== 'searching' && state.phase !== 'responding') return
  const message = state.phase === 'searching' ? joiner.find(aliceId) : state.exchange.response
  const answer = alice.hear(asPeer(peer), message)
  if (answer !== null) joiner.hear(aliceId, answer)
}
