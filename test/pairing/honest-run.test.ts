import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { InitiatorEffect } from '../../src/pairing/initiator-state.ts'
import { decodeMessage, encodeMessage, type PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { aliceId, bobId, expectMessage, InitiatorParty, JoinerParty, malloryId } from './builders.ts'

test('two honest devices end up paired, with the same digits, pair key and names', () => {
  const { alice, bob } = pair()
  assert.equal(alice.state.phase, 'paired')
  assert.equal(bob.state.phase, 'paired')

  const asked = alice.effects.find((effect) => effect.type === 'ask')
  const shown = bob.effects.find((effect) => effect.type === 'ask')
  assert.match(asked?.digits ?? '', /^\d{6}$/u)
  assert.equal(asked?.digits, shown?.digits)
  assert.deepEqual([asked?.name, asked?.peer], ['Bob', bobId])
  assert.deepEqual([shown?.name, shown?.peer], ['Alice', aliceId])
  assert.ok(bob.effects.some((effect) => effect.type === 'show-digits' && effect.digits === asked?.digits))

  const [hers, his] = [rowOf(alice.effects, 'pending'), rowOf(bob.effects, 'confirming')]
  assert.deepEqual(hers?.pairKey, his?.pairKey)
  assert.equal(hers?.pairKey.length, 32)
  assert.deepEqual(hers?.acknowledgement, his?.acknowledgement)
  assert.deepEqual([hers?.peer, hers?.name, his?.peer, his?.name], [bobId, 'Bob', aliceId, 'Alice'])
})

test('nothing is said before it is stored', () => {
  const { alice, bob } = pair()
  const hers = alice.effects.map((effect) =>
    effect.type === 'answer' ? effect.message.type : effect.type === 'persist' ? effect.row : effect.type,
  )
  assert.ok(hers.indexOf('pending') < hers.indexOf('Complete'))
  assert.ok(hers.indexOf('active') < hers.indexOf('Acknowledged'))
  assert.ok(hers.indexOf('active') < hers.indexOf('finished'))
  const his = bob.effects.map((effect) =>
    effect.type === 'repeat' ? effect.message.type : effect.type === 'persist' ? effect.row : effect.type,
  )
  assert.deepEqual(his, [
    'ask-peer',
    'show-digits',
    'Response',
    'waiting',
    'ask',
    'confirming',
    'Confirmed',
    'active',
    'finished',
  ])
})

test('two pairings with the same code and names have nothing in common', () => {
  const runs = [1, 2].map((seed) => pair({ seed }))
  const keys = runs.map(({ alice }) => rowOf(alice.effects, 'pending')?.pairKey.join())
  assert.notEqual(keys[0], keys[1])
})

test('threat 33: whatever is lost or said twice, and however often, both end up paired once', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.constantFrom('lost', 'answer lost', 'twice', 'fine')), (luck) => {
      const { alice, bob } = pair({ luck })
      assert.equal(alice.state.phase, 'paired')
      assert.equal(bob.state.phase, 'paired')
      for (const type of ['ask', 'finished'] as const) {
        assert.equal(count(alice.effects, type), 1)
        assert.equal(count(bob.effects, type), 1)
      }
      assert.equal(count(alice.effects, 'persist'), 2)
      assert.equal(count(bob.effects, 'persist'), 2)
      assert.equal(alice.state.challenges, 1)
      assert.deepEqual(rowOf(alice.effects, 'pending')?.pairKey, rowOf(bob.effects, 'confirming')?.pairKey)
    }),
    { numRuns: 40 },
  )
})

test('threat 33: Confirmed that comes after the time to confirm still finishes the pairing', () => {
  const alice = new InitiatorParty()
  const bob = new JoinerParty()
  converse(alice, bob, { until: () => alice.state.phase === 'completed' && bob.state.phase === 'confirming' })
  alice.now = 120_000
  alice.deliver({ type: 'tick' })
  assert.equal(alice.state.phase, 'unconfirmed')
  converse(alice, bob, { until: () => bob.state.phase === 'paired' })
  assert.equal(alice.state.phase, 'paired')
})

test('threat 33: a joiner that hears nothing any more leaves an unfinished pairing, not a lost one', () => {
  const alice = new InitiatorParty()
  const bob = new JoinerParty()
  converse(alice, bob, { until: () => bob.state.phase === 'confirming' })
  bob.now = 60_000
  const effects = bob.deliver({ type: 'tick' })
  assert.deepEqual(effects, [{ type: 'finished', outcome: 'unfinished', peer: aliceId }])
  assert.equal(count(bob.effects, 'forget'), 0, 'its row stays')
})

test('a pairing that one person declines leaves no row on either side', () => {
  for (const decliner of ['initiator', 'joiner'] as const) {
    const alice = new InitiatorParty()
    const bob = new JoinerParty()
    converse(alice, bob, { declines: decliner, until: () => bob.state.phase === 'failed' })
    const told = bob.effects.find((effect) => effect.type === 'send')
    if (told !== undefined) alice.hear(bobId, told.message)
    assert.equal(
      alice.state.phase === 'ended' && alice.state.reason,
      decliner === 'initiator' ? 'declined' : 'cancelled',
    )
    assert.equal(bob.state.phase === 'failed' && bob.state.reason, 'declined')
    const [written, forgotten] = [
      alice.effects.filter((effect) => effect.type === 'persist').length,
      count(alice.effects, 'forget'),
    ]
    assert.equal(written, forgotten)
    assert.equal(count(bob.effects, 'persist'), 0)
  }
})

test("a joiner whose first answer came from a stranger's device still finds the right one", () => {
  const alice = new InitiatorParty()
  const bob = new JoinerParty()
  bob.find(malloryId)
  const request = bob.find(aliceId)
  const challenge = expectMessage(alice.hear(bobId, request), 'Challenge')
  assert.equal(bob.hear(malloryId, challenge), null)
  assert.equal(bob.hear(aliceId, challenge)?.type, 'Response')
})

type Luck = Iterator<string>

function pair({ luck, seed = 0 }: { luck?: Luck; seed?: number } = {}) {
  const alice = new InitiatorParty()
  const bob = new JoinerParty({ seed })
  converse(alice, bob, { ...(luck === undefined ? {} : { luck }), until: () => bob.state.phase === 'paired' })
  return { alice, bob }
}

interface Conversation {
  until: () => boolean
  luck?: Luck
  declines?: 'initiator' | 'joiner'
}

/** What the shell does: carries messages, in their encoding, and does what the machines say, until it is over. */
function converse(alice: InitiatorParty, bob: JoinerParty, { until, luck, declines }: Conversation): void {
  for (let round = 0; round < 500; round++) {
    if (until()) return
    const message = currentMessage(bob)
    const fate: unknown = luck?.next().value ?? 'fine'
    if (fate === 'lost') continue
    const times = fate === 'twice' ? 2 : 1
    for (let time = 0; time < times; time++) {
      const seen = alice.effects.length
      const answer = alice.hear(bobId, overTheWire(message))
      for (const effect of alice.effects.slice(seen)) performForAlice(alice, effect, declines === 'initiator')
      if (answer === null || fate === 'answer lost') continue
      const before = bob.effects.length
      bob.hear(aliceId, overTheWire(answer))
      for (const effect of bob.effects.slice(before)) {
        if (effect.type === 'ask') bob.deliver({ type: declines === 'joiner' ? 'declined' : 'approved' })
      }
      if (bob.state.phase === 'persisting' || bob.state.phase === 'activating')
        bob.deliver({ type: 'persisted' })
    }
  }
  assert.fail(`still ${alice.state.phase} and ${bob.state.phase} after 500 rounds`)
}

function performForAlice(alice: InitiatorParty, effect: InitiatorEffect, declines: boolean): void {
  if (effect.type === 'ask') alice.deliver({ type: declines ? 'declined' : 'approved' })
  if (alice.state.phase === 'persisting' || alice.state.phase === 'activating')
    alice.deliver({ type: 'persisted' })
}

/** What the joiner has to say now. */
function currentMessage(bob: JoinerParty): PairingMessage {
  if (bob.state.phase === 'searching') return bob.find(aliceId)
  const repeated = bob.effects.findLast((effect) => effect.type === 'repeat')
  assert.ok(repeated)
  return repeated.message
}

function overTheWire(message: PairingMessage): PairingMessage {
  const decoded = decodeMessage(encodeMessage(message))
  assert.ok(decoded)
  return decoded
}

function rowOf(effects: readonly { type: string }[], row: string) {
  const found = (effects as InitiatorEffect[]).find(
    (effect) => effect.type === 'persist' && effect.row === row,
  )
  return found?.type === 'persist' && 'pair' in found ? found.pair : undefined
}

function count(effects: readonly { type: string }[], type: string): number {
  return effects.filter((effect) => effect.type === type).length
}
