import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InitiatorPhase, JoinerPhase } from './builders.ts'
import {
  aliceId,
  bobId,
  carolId,
  expectMessage,
  flipped,
  freshBytes,
  initiatorEvent,
  InitiatorParty,
  JoinerParty,
  malloryId,
  meet,
  otherCode,
} from './builders.ts'
import { answerChallenge, makeCandidate } from '../../src/pairing/joiner-handshake.ts'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { asPeer } from '../peers.ts'

const { messages, initiator, joiner, digits } = meet()
const phasesOfInitiator = Object.keys(initiator) as InitiatorPhase[]
const phasesOfJoiner = Object.keys(joiner) as JoinerPhase[]

test('threat 1: without the words, whoever relays between two devices gets silence on both sides', () => {
  const alice = new InitiatorParty()
  const bob = new JoinerParty()
  const toMallory = bob.find(malloryId)
  assert.equal(alice.hear(malloryId, toMallory), null, "Bob's words to Mallory are not Mallory's to Alice")
  const challenge = expectMessage(alice.hear(bobId, bob.find(aliceId)), 'Challenge')
  assert.equal(bob.hear(malloryId, challenge), null, "Alice's words to Bob are not Mallory's to Bob")
  assert.equal(bob.hear(aliceId, challenge)?.type, 'Response', 'the honest pairing goes on')
})

test('threat 1: with stolen words, whoever sits in between shows each side other digits', () => {
  const shown = new Set<string>()
  for (let round = 0; round < 8; round++) {
    const [alice, bob] = [new InitiatorParty(), new JoinerParty({ seed: round })]
    const towardsAlice = new JoinerParty({ peer: malloryId, seed: 100 + round })
    const towardsBob = new InitiatorParty({ peer: malloryId })
    const response = towardsAlice.hear(
      aliceId,
      expectMessage(alice.hear(malloryId, towardsAlice.find(aliceId)), 'Challenge'),
    )
    alice.hear(malloryId, expectMessage(response, 'Response'))
    bob.hear(malloryId, expectMessage(towardsBob.hear(bobId, bob.find(malloryId)), 'Challenge'))
    assert.ok(alice.state.phase === 'approving' && bob.state.phase === 'responding')
    assert.notEqual(alice.state.winner.digits, bob.state.exchange.digits)
    shown.add(alice.state.winner.digits).add(bob.state.exchange.digits)
  }
  assert.equal(shown.size, 16)
})

test('threat 4: what only the other role may send is silence to an initiator, in every state', () => {
  const { challenge, complete } = messages
  const wrong: PairingMessage[] = [
    challenge,
    complete,
    { type: 'Waiting' },
    { type: 'Acknowledged' },
    { type: 'Refused', reason: 'used', mac: messages.confirmed.acknowledgement },
  ]
  for (const message of wrong) assert.equal(initiatorEvent(bobId, message), null, message.type)
})

test('threat 4: what only a joiner may send is ignored by a joiner, in every state', () => {
  const { request, response, confirmed, cancelOfInitiator, cancelOfJoiner } = messages
  for (const phase of phasesOfJoiner) {
    for (const message of [request, response, confirmed, cancelOfInitiator, cancelOfJoiner]) {
      const bob = new JoinerParty({ state: joiner[phase] })
      assert.equal(bob.hear(aliceId, message), null)
      assert.deepEqual(bob.state, joiner[phase])
    }
  }
})

test('threat 5: a Complete before the Response, from another peer or of another pairing stores nothing', () => {
  const other = new InitiatorParty({ state: initiator.open })
  other.hear(carolId, messages.carolResponse)
  other.deliver({ type: 'approved' })
  other.deliver({ type: 'persisted' })
  const carolComplete = expectMessage(other.hear(carolId, messages.carolResponse), 'Complete')
  const { complete } = messages
  const forged = [
    { peer: malloryId, message: complete },
    { peer: aliceId, message: carolComplete },
    { peer: aliceId, message: { ...complete, proof: flipped(complete.proof, 31) } },
    { peer: aliceId, message: { ...complete, sealed: flipped(complete.sealed, 100) } },
    { peer: aliceId, message: { ...complete, sealed: carolComplete.sealed } },
    { peer: aliceId, message: { ...complete, proof: carolComplete.proof } },
  ]
  for (const phase of ['searching', 'responding'] as const) {
    for (const { peer, message } of phase === 'searching'
      ? [...forged, { peer: aliceId, message: complete }]
      : forged) {
      const bob = new JoinerParty({ state: joiner[phase] })
      bob.hear(peer, message)
      assert.deepEqual(bob.state, joiner[phase])
      assert.deepEqual(bob.effects, [])
    }
  }
})

test("threat 7: the joiner's own proof and sealed part, sent back, are not the initiator's", () => {
  const { response, complete } = messages
  for (const reflected of [
    { sealed: response.sealed, proof: response.proof },
    { sealed: response.sealed, proof: complete.proof },
    { sealed: complete.sealed, proof: response.proof },
  ]) {
    const bob = new JoinerParty({ state: joiner.responding })
    bob.hear(aliceId, { type: 'Complete', ...reflected })
    assert.equal(bob.state.phase, 'responding')
  }
  const alice = new InitiatorParty({ state: initiator.completed })
  assert.equal(alice.hear(bobId, { type: 'Confirmed', acknowledgement: complete.proof }), null)
  assert.equal(alice.hear(bobId, { type: 'Confirmed', acknowledgement: response.proof }), null)
  assert.equal(alice.state.phase, 'completed')
})

test("threat 7: a side's own probe and Cancel, sent back, prove nothing", () => {
  const bob = new JoinerParty()
  const request = bob.find(aliceId)
  const reflected = {
    type: 'Challenge',
    nonce: request.commitment,
    share: request.commitment,
    probe: request.probe,
  } as const
  assert.equal(bob.hear(aliceId, reflected), null)
  for (const phase of ['responding', 'deciding', 'persisting', 'confirming'] as const) {
    const party = new JoinerParty({ state: joiner[phase] })
    const effects = party.deliver({
      type: 'cancel-received',
      peer: aliceId,
      message: messages.cancelOfJoiner,
    })
    assert.deepEqual(effects, [{ type: 'silence' }])
  }
  const alice = new InitiatorParty({ state: initiator.approving })
  assert.equal(alice.hear(bobId, messages.cancelOfInitiator), null)
  assert.equal(alice.state.phase, 'approving')
})

test('threat 8: a replay from another peer gets silence, in every state', () => {
  for (const phase of phasesOfInitiator) {
    for (const message of [
      messages.request,
      messages.response,
      messages.confirmed,
      messages.cancelOfJoiner,
    ]) {
      const alice = new InitiatorParty({ state: initiator[phase] })
      assert.equal(alice.hear(malloryId, message), null)
      assert.deepEqual(alice.state, initiator[phase])
    }
  }
})

test('threat 8: a replay from the same peer gets the stored answer and has no second effect', () => {
  const open = new InitiatorParty({ state: initiator.open })
  assert.deepEqual(open.hear(bobId, messages.request), messages.challenge)
  assert.deepEqual(open.state, initiator.open)
  for (const phase of ['completed', 'unconfirmed', 'activating', 'paired'] as const) {
    const alice = new InitiatorParty({ state: initiator[phase] })
    assert.deepEqual(alice.hear(bobId, messages.response), messages.complete)
    assert.deepEqual(alice.effects.length, 1)
    assert.deepEqual(alice.state, initiator[phase])
  }
  const paired = new InitiatorParty({ state: initiator.paired })
  assert.deepEqual(paired.hear(bobId, messages.confirmed), { type: 'Acknowledged' })
  assert.equal(paired.effects.length, 1)
})

test('threat 8: a message of one pairing is worth nothing in another with the same code and peers', () => {
  const alice = new InitiatorParty()
  const bob = new JoinerParty({ seed: 33 })
  const request = bob.find(aliceId)
  const challenge = expectMessage(alice.hear(bobId, request), 'Challenge')
  assert.equal(bob.hear(aliceId, messages.challenge), null)
  const response = expectMessage(bob.hear(aliceId, challenge), 'Response')
  bob.hear(aliceId, messages.complete)
  assert.equal(bob.state.phase, 'responding')
  alice.hear(bobId, response)
  assert.equal(alice.hear(bobId, messages.response), null)
  assert.equal(alice.hear(bobId, messages.cancelOfJoiner), null)
  assert.equal(alice.state.phase, 'approving')
})

test('threat 9: message 1 of one peer and message 3 of another do not make an attempt', () => {
  const alice = new InitiatorParty({ state: initiator.open })
  assert.equal(alice.hear(malloryId, messages.response), null)
  assert.equal(alice.state.phase, 'open')
  const holder = new InitiatorParty({ state: initiator.open })
  assert.equal(holder.hear(carolId, messages.response), null)
  assert.equal(
    holder.state.phase === 'ended' && holder.state.reason,
    'burnt',
    'Carol holds the code and cheats',
  )
})

for (const [what, change] of Object.entries({
  nonce: { nonce: freshBytes(80).nonce },
  share: { share: freshBytes(80).nonce },
  'nonce and share of another attempt': {
    nonce: messages.carolResponse.nonce,
    share: messages.carolResponse.share,
  },
  proof: { proof: flipped(messages.response.proof, 7) },
  'sealed part': { sealed: flipped(messages.response.sealed, 271) },
})) {
  test(`threat 10: a Response with another ${what} than was committed to or proved burns the code`, () => {
    const alice = new InitiatorParty({ state: initiator.open })
    assert.equal(alice.hear(bobId, { ...messages.response, ...change }), null)
    assert.equal(alice.state.phase === 'ended' && alice.state.reason, 'burnt')
    const refused = alice.hear(bobId, messages.response)
    assert.equal(refused?.type === 'Refused' && refused.reason, 'burnt', 'also for the right one')
  })
}

test('threat 10: a thief who chooses nonce or share after the Challenge burns the code, however right his proof', () => {
  for (const late of ['nonce', 'secret'] as const) {
    const thief = new JoinerParty({ peer: malloryId }).context
    const candidate = makeCandidate(thief, aliceId, freshBytes(60))
    const alice = new InitiatorParty()
    const challenge = expectMessage(alice.hear(malloryId, candidate.request), 'Challenge')
    const changed = { ...candidate, [late]: freshBytes(61)[late] }
    const honest = answerChallenge(thief, candidate, challenge)
    const chosen = answerChallenge(thief, changed, challenge)
    assert.ok(honest && chosen)
    assert.notEqual(chosen.digits, honest.digits, 'this is what he would gain')
    assert.equal(alice.hear(malloryId, chosen.response), null)
    assert.equal(alice.state.phase === 'ended' && alice.state.reason, 'burnt')
  }
})

test('threat 11: nothing that is said after the Challenge and the opening enters the digits', () => {
  const named = new JoinerParty({ name: 'quite another name' })
  named.find(aliceId)
  named.hear(aliceId, messages.challenge)
  assert.ok(named.state.phase === 'responding')
  assert.notDeepEqual(named.state.exchange.response.sealed, messages.response.sealed)
  assert.equal(named.state.exchange.digits, digits)
  const alice = new InitiatorParty({ state: initiator.open, name: 'another too' })
  alice.hear(bobId, named.state.exchange.response)
  assert.equal(alice.state.phase === 'approving' && alice.state.winner.digits, digits)
})

test('threat 11: any change of nonce or share on either side changes the digits', () => {
  const seen = new Set([digits])
  for (let seed = 1; seed <= 6; seed++) {
    const bob = new JoinerParty({ seed })
    bob.hear(aliceId, expectMessage(new InitiatorParty().hear(bobId, bob.find(aliceId)), 'Challenge'))
    seen.add(bob.state.phase === 'responding' ? bob.state.exchange.digits : '')
  }
  assert.equal(seen.size, 7)
})

test('threat 14: after the pairing, a holder of the words is told so, and anybody else hears nothing', () => {
  const alice = new InitiatorParty({ state: initiator.paired })
  const holder = new JoinerParty({ peer: malloryId, seed: 40 })
  const refused = expectMessage(alice.hear(malloryId, holder.find(aliceId)), 'Refused')
  assert.equal(refused.reason, 'used')
  holder.hear(aliceId, refused)
  assert.equal(holder.state.phase === 'failed' && holder.state.reason, 'used')
  const stranger = new JoinerParty({ peer: malloryId, keys: otherCode })
  assert.equal(alice.hear(malloryId, stranger.find(aliceId)), null)
  assert.deepEqual(alice.state, initiator.paired)
})

test('threat 28: another suite gets silence, and one that is only claimed is noticed', () => {
  const other = { ...new JoinerParty().context.suite, name: 'none' }
  const alice = new InitiatorParty()
  const bob = new JoinerParty()
  const request = bob.find(aliceId)
  assert.equal(alice.hear(bobId, { ...request, suite: 'none' }), null)
  const downgraded = new JoinerParty()
  downgraded.context.suite = other
  const asked = downgraded.find(aliceId)
  assert.equal(alice.hear(bobId, asked), null)
  assert.equal(alice.hear(bobId, { ...asked, suite: request.suite }), null, 'the suite is in the transcript')
  assert.equal(alice.state.challenges, 0)
})

test('threat 40: a made-up Challenge does not hold the joiner up', () => {
  const bob = new JoinerParty()
  const request = bob.find(aliceId)
  for (let round = 0; round < 20; round++) {
    const { nonce, secret } = freshBytes(500 + round)
    bob.find(asPeer(`stranger ${round}`))
    assert.equal(
      bob.hear(asPeer(`stranger ${round}`), {
        type: 'Challenge',
        nonce,
        share: secret,
        probe: nonce.slice(16),
      }),
      null,
    )
  }
  assert.equal(bob.state.phase, 'searching')
  const challenge = expectMessage(new InitiatorParty().hear(bobId, request), 'Challenge')
  assert.equal(bob.hear(aliceId, challenge)?.type, 'Response')
})

test('threat 40: a flood of invented peers neither grows the state, nor changes what the honest one is asked', () => {
  const bob = new JoinerParty()
  const alice = new InitiatorParty()
  const first = bob.find(aliceId)
  const challenge = expectMessage(alice.hear(bobId, first), 'Challenge')
  const size = JSON.stringify(bob.state).length
  for (let index = 0; index < 200; index++) bob.find(asPeer(`invented ${index}`))
  assert.equal(JSON.stringify(bob.state).length, size)
  assert.deepEqual(bob.find(aliceId), first)
  alice.hear(bobId, first)
  assert.equal(alice.state.challenges, 1, 'asking again does not use up the code')
  assert.equal(bob.hear(aliceId, challenge)?.type, 'Response', 'nor is the answer to the first question lost')
})

test('every candidate is asked with a nonce and a share of its own', () => {
  const bob = new JoinerParty()
  const responses = [aliceId, malloryId].map((peer) => {
    const request = bob.find(peer)
    const challenge = expectMessage(new InitiatorParty({ peer }).hear(bobId, request), 'Challenge')
    const asked = new JoinerParty({ state: bob.state })
    return expectMessage(asked.hear(peer, challenge), 'Response')
  })
  const [one, other] = responses
  assert.ok(one && other)
  assert.notDeepEqual(one.nonce, other.nonce)
  assert.notDeepEqual(one.share, other.share)
})

test("threat 41: a stranger's Waiting, Confirmed, Acknowledged, Refused or Cancel changes nothing, in any state", () => {
  const mac = new Uint8Array(32)
  for (const phase of phasesOfInitiator) {
    const alice = new InitiatorParty({ state: initiator[phase] })
    for (const message of [
      { type: 'Confirmed', acknowledgement: mac },
      { type: 'Cancel', mac },
      { type: 'Waiting' },
      { type: 'Acknowledged' },
    ] as const) {
      for (const peer of [malloryId, aliceId, '']) assert.equal(alice.hear(asPeer(peer), message), null)
    }
    assert.deepEqual(alice.state, initiator[phase])
  }
  for (const phase of phasesOfJoiner) {
    const bob = new JoinerParty({ state: joiner[phase] })
    for (const message of [
      { type: 'Refused', reason: 'cancelled', mac },
      { type: 'Waiting' },
      { type: 'Acknowledged' },
      messages.complete,
    ] as const) {
      bob.hear(malloryId, message)
    }
    bob.deliver({ type: 'cancel-received', peer: malloryId, message: { type: 'Cancel', mac } })
    bob.deliver({ type: 'cancel-received', peer: malloryId, message: messages.cancelOfInitiator })
    assert.deepEqual(bob.state, joiner[phase])
    assert.ok(bob.effects.every((effect) => effect.type === 'silence'))
  }
})

test('a refusal holds for one attempt and one reason only', () => {
  const refused = expectMessage(
    new InitiatorParty({ state: initiator.approving }).hear(bobId, messages.request),
    'Refused',
  )
  const later = expectMessage(
    new InitiatorParty({ state: initiator.ended }).hear(bobId, messages.response),
    'Refused',
  )
  const forgeries: [JoinerPhase, PairingMessage][] = [
    ['searching', { ...refused, reason: 'declined' }],
    ['searching', later],
    ['responding', refused],
    ['responding', { ...later, reason: 'expired' }],
    ['confirming', refused],
    ['confirming', { ...later, mac: flipped(later.mac, 5) }],
  ]
  for (const [phase, message] of forgeries) {
    const bob = new JoinerParty({ state: joiner[phase] })
    bob.hear(aliceId, message)
    assert.deepEqual(bob.state, joiner[phase])
  }
  const other = new JoinerParty({ seed: 21 })
  other.find(aliceId)
  other.hear(aliceId, refused)
  assert.equal(other.state.phase, 'searching')
})
