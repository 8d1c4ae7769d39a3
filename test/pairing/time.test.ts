import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isForgettable } from '../../src/pairing/initiator-state.ts'
import {
  acknowledgementMs,
  approvalMs,
  attemptMs,
  confirmationMs,
  invitationLifetimeMs,
  remembranceMs,
  responseMs,
} from '../../src/pairing/limits.ts'
import {
  aliceId,
  bobId,
  carolId,
  expectMessage,
  InitiatorParty,
  JoinerParty,
  malloryId,
  meet,
} from './builders.ts'
import { asPeer } from '../peers.ts'

const { messages, initiator, joiner } = meet()

for (const startedAt of [0, 86_400_000.5]) {
  test(`threat 15: a code made at ${startedAt} ms is good for 300,000 ms, and not for one more`, () => {
    for (const [afterMs, outcome] of [
      [invitationLifetimeMs - 1, 'Challenge'],
      [invitationLifetimeMs, 'expired'],
      [invitationLifetimeMs + 1, 'expired'],
    ] as const) {
      const alice = new InitiatorParty({ now: startedAt })
      alice.now = startedAt + afterMs
      const answer = alice.hear(bobId, messages.request)
      assert.equal(answer?.type === 'Refused' ? answer.reason : answer?.type, outcome)
    }
  })
}

test('threat 15: a Response counts when it arrives in time, and not a millisecond later', () => {
  for (const [now, phase] of [
    [invitationLifetimeMs - 1, 'approving'],
    [invitationLifetimeMs, 'ended'],
    [invitationLifetimeMs + 1, 'ended'],
  ] as const) {
    const alice = new InitiatorParty({ state: initiator.open })
    alice.now = now
    const answer = alice.hear(bobId, messages.response)
    assert.equal(alice.state.phase, phase)
    assert.equal(answer?.type, phase === 'ended' ? 'Refused' : 'Waiting')
    const outcomes = alice.effects.filter((effect) => effect.type === 'finished')
    assert.deepEqual(
      outcomes,
      phase === 'ended' ? [{ type: 'finished', outcome: 'ended', reason: 'expired' }] : [],
    )
  }
})

test('threat 15: the time to approve begins with the Response, not with the code', () => {
  const alice = new InitiatorParty({ state: initiator.open, now: invitationLifetimeMs - 1 })
  alice.hear(bobId, messages.response)
  alice.now += approvalMs - 1
  alice.deliver({ type: 'approved' })
  assert.equal(alice.state.phase, 'persisting')
})

/** Every other deadline: one millisecond before, exactly, one after. */
const deadlines = [
  ['initiator', 'approving', approvalMs, 'ended'],
  ['initiator', 'completed', confirmationMs, 'unconfirmed'],
  ['joiner', 'searching', 300_000, 'failed'],
  ['joiner', 'responding', responseMs, 'searching'],
  ['joiner', 'deciding', approvalMs, 'failed'],
  ['joiner', 'confirming', acknowledgementMs, 'unfinished'],
] as const

for (const [role, phase, afterMs, next] of deadlines) {
  test(`${role}, ${phase}: over after exactly ${afterMs} ms`, () => {
    for (const offset of [-1, 0, 1]) {
      const party =
        role === 'initiator'
          ? new InitiatorParty({ state: initiator[phase], now: afterMs + offset })
          : new JoinerParty({ state: joiner[phase], now: afterMs + offset })
      party.deliver({ type: 'tick' })
      assert.equal(party.state.phase, offset < 0 ? phase : next)
    }
  })
}

test('an answer of a person that comes too late changes nothing', () => {
  for (const [now, hers, his] of [
    [approvalMs - 1, 'persisting', 'persisting'],
    [approvalMs, 'ended', 'failed'],
  ] as const) {
    const alice = new InitiatorParty({ state: initiator.approving, now })
    alice.deliver({ type: 'approved' })
    assert.equal(alice.state.phase, hers)
    const bob = new JoinerParty({ state: joiner.deciding, now })
    bob.deliver({ type: 'approved' })
    assert.equal(bob.state.phase, his)
  }
})

test('a search goes on after a Response that led nowhere, with new bytes, and ends at its deadline', () => {
  const bob = new JoinerParty({ state: joiner.responding, now: responseMs, seed: 30 })
  bob.deliver({ type: 'tick' })
  assert.equal(bob.state.phase, 'searching')
  assert.equal(bob.hear(aliceId, messages.challenge), null, 'the old Challenge is of no use')
  const again = bob.find(aliceId)
  assert.notDeepEqual(again.commitment, messages.request.commitment)

  const late = new JoinerParty({ state: joiner.responding, now: 300_000 })
  late.deliver({ type: 'tick' })
  assert.equal(late.state.phase === 'failed' && late.state.reason, 'interrupted')
})

test('an attempt keeps its place among the open ones for ten seconds, and can be finished afterwards', () => {
  for (const [now, expected] of [
    [attemptMs - 1, null],
    [attemptMs, 'Challenge'],
  ] as const) {
    const alice = new InitiatorParty()
    const parties = ['a', 'b', 'c', 'd'].map(
      (peer, seed) => new JoinerParty({ peer: asPeer(peer), seed: 10 * seed }),
    )
    const responses = parties.map((party) => {
      const challenge = expectMessage(
        alice.hear(asPeer(party.context.localPeerId), party.find(aliceId)),
        'Challenge',
      )
      return expectMessage(party.hear(aliceId, challenge), 'Response')
    })
    alice.now = now
    const fifth = new JoinerParty({ peer: carolId, seed: 60 })
    assert.equal(alice.hear(carolId, fifth.find(aliceId))?.type ?? null, expected)
    assert.ok(responses[0])
    assert.equal(alice.hear(asPeer('a'), responses[0])?.type, 'Waiting')
  }
})

test('an ended invitation tells why for ten minutes, and can then be forgotten', () => {
  const alice = new InitiatorParty({ state: initiator.ended, now: remembranceMs - 1 })
  assert.equal(alice.hear(malloryId, new JoinerParty({ peer: malloryId }).find(aliceId))?.type, 'Refused')
  for (const phase of ['ended', 'paired'] as const) {
    assert.equal(isForgettable(initiator[phase], remembranceMs - 1), false)
    assert.equal(isForgettable(initiator[phase], remembranceMs), true)
  }
  assert.equal(isForgettable(initiator.unconfirmed, confirmationMs + remembranceMs - 1), false)
  assert.equal(isForgettable(initiator.unconfirmed, confirmationMs + remembranceMs), true)
  for (const phase of ['open', 'approving', 'persisting', 'completed', 'activating'] as const) {
    assert.equal(isForgettable(initiator[phase], Number.MAX_SAFE_INTEGER), false)
  }
})

test('threat 16: the machines never look at the wall clock', (context) => {
  const asked = context.mock.method(Date, 'now', () => assert.fail('Date.now() was asked'))
  const monotonic = context.mock.method(performance, 'now', () => assert.fail('performance.now() was asked'))
  const again = meet()
  assert.deepEqual(again.initiator, initiator)
  assert.deepEqual(again.joiner, joiner)
  assert.equal(asked.mock.callCount() + monotonic.mock.callCount(), 0)
})
