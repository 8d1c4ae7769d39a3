import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeDescription } from '../../src/pairing/device-info.ts'
import * as initiator from '../../src/pairing/initiator-handshake.ts'
import * as joiner from '../../src/pairing/joiner-handshake.ts'
import { agreeKeys, deriveCodeKeys } from '../../src/pairing/key-schedule.ts'
import {
  decodeMessage,
  encodeMessage,
  refusalReasons,
  type PairingMessage,
} from '../../src/pairing/pairing-messages.ts'
import { formatPairingCode, parsePairingCode } from '../../src/pairing/pairing-code.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { transcript } from '../../src/pairing/transcript.ts'
import { expectMessage } from './builders.ts'
import { bytes, hex, vectors, type PairingVector } from '../vectors.ts'
import { asPeer } from '../peers.ts'

test('there are at least two vectors of a pairing', () => {
  assert.ok(vectors('pairing.json').length >= 2)
})

for (const vector of vectors('pairing.json')) {
  test(`vector "${vector.name}": code and keys`, () => {
    const entropy = bytes(vector.entropy)
    assert.equal(formatPairingCode(entropy), vector.words)
    const parsed = parsePairingCode(vector.words)
    assert.deepEqual(parsed.ok && parsed.entropy, entropy)

    const { prk, ...codeKeys } = vector.codeKeys
    assert.equal(hex(suite1.extract(new TextEncoder().encode('spacedock/pairing/1'), entropy)), prk)
    assert.deepEqual(hexed(deriveCodeKeys(suite1, entropy)), codeKeys)

    const { initiator: alice, joiner: bob } = vector
    const { sharedSecret, ...agreed } = vector.agreedKeys
    assert.equal(hex(suite1.publicShare(bytes(alice.secret))), alice.share)
    assert.equal(hex(suite1.publicShare(bytes(bob.secret))), bob.share)
    const shared = suite1.sharedSecret(bytes(alice.secret), bytes(bob.share))
    assert.equal(hex(shared ?? new Uint8Array()), sharedSecret)
    const authKey = bytes(vector.codeKeys.authKey)
    assert.deepEqual(hexed(agreeKeys(suite1, authKey, bytes(alice.secret), bytes(bob.share)) ?? {}), agreed)
    assert.deepEqual(hexed(agreeKeys(suite1, authKey, bytes(bob.secret), bytes(alice.share)) ?? {}), agreed)
  })

  test(`vector "${vector.name}": every message, transcript hash and result`, () => {
    const run = pairByVector(vector)
    assert.deepEqual(hexed(run.hashes), vector.transcript)
    for (const [type, message] of Object.entries(vector.messages)) {
      const ours = run.messages.find((candidate) => candidate.type === type)
      assert.ok(ours, type)
      assert.deepEqual(JSON.parse(new TextDecoder().decode(encodeMessage(ours))), message)
      assert.deepEqual(decodeMessage(new TextEncoder().encode(JSON.stringify(message))), ours)
    }
    assert.equal(run.winner.digits, vector.digits)
    assert.equal(run.exchange.digits, vector.digits)
    assert.equal(run.winner.name, vector.joiner.name)
    assert.equal(run.joined.pair.name, vector.initiator.name)
    for (const pair of [run.agreement.pair, run.joined.pair]) {
      assert.equal(hex(pair.pairKey), vector.pairKey)
      assert.equal(
        encoded({ type: 'Cancel', mac: pair.acknowledgement }),
        vector.messages.Confirmed['acknowledgement'],
      )
    }
  })

  test(`vector "${vector.name}": refusals and cancels, made and checked`, () => {
    const { alice, bob, attempt, candidate, winner, exchange, hashes } = pairByVector(vector)
    assert.deepEqual(Object.keys(vector.requestRefusals), [...refusalReasons])
    for (const reason of refusalReasons) {
      const early = expectMessage(initiator.refuseRequest(alice, hashes.request, reason), 'Refused')
      assert.equal(encoded(early), vector.requestRefusals[reason])
      assert.ok(joiner.verifyRequestRefusal(bob, candidate, early))
      const late = expectMessage(initiator.refuseResponse(alice, winner, reason), 'Refused')
      assert.equal(encoded(late), vector.responseRefusals[reason])
      assert.ok(joiner.verifyResponseRefusal(bob, exchange, late))
    }
    const fromInitiator = expectMessage(initiator.makeCancel(alice, attempt), 'Cancel')
    assert.equal(encoded(fromInitiator), vector.cancels.initiator)
    assert.ok(joiner.verifyCancel(bob, candidate, fromInitiator))
    const fromJoiner = expectMessage(joiner.makeCancel(bob, candidate), 'Cancel')
    assert.equal(encoded(fromJoiner), vector.cancels.joiner)
    assert.ok(initiator.verifyCancel(alice, attempt, fromJoiner))
  })
}

test('a description is 256 bytes, whatever the name', () => {
  for (const name of ['', 'a', '東'.repeat(48), '"'.repeat(48), '\ud83d'.repeat(500), '😀'.repeat(48)]) {
    assert.equal(encodeDescription({ name }).length, 256)
  }
})

/** The two sides' own functions, with the vector's fixed bytes. */
function pairByVector(vector: PairingVector) {
  const keys = deriveCodeKeys(suite1, bytes(vector.entropy))
  const [a, b] = [vector.initiator, vector.joiner]
  const alice = { suite: suite1, keys, localPeerId: a.peerId, deviceName: a.name }
  const bob = { suite: suite1, keys, localPeerId: b.peerId, deviceName: b.name }

  const candidate = joiner.makeCandidate(bob, asPeer(a.peerId), {
    nonce: bytes(b.nonce),
    secret: bytes(b.secret),
  })
  const { commitment } = candidate.request
  const requested = initiator.verifyRequest(alice, asPeer(b.peerId), candidate.request)
  assert.ok(requested)
  const fresh = { nonce: bytes(a.nonce), secret: bytes(a.secret) }
  const attempt = initiator.makeAttempt(alice, { peer: asPeer(b.peerId), commitment, requested }, fresh, 0)
  const exchange = joiner.answerChallenge(bob, candidate, attempt.challenge)
  assert.ok(exchange)
  const winner = initiator.verifyResponse(alice, attempt, exchange.response)
  assert.ok(winner)
  const agreement = initiator.makeAgreement(alice, winner)
  const joined = joiner.verifyComplete(bob, exchange, agreement.complete)
  assert.ok(joined)
  const confirmed: PairingMessage = { type: 'Confirmed', acknowledgement: joined.pair.acknowledgement }
  assert.ok(initiator.verifyAcknowledgement(agreement.pair, asPeer(b.peerId), confirmed))

  const { nonce, share, sealed, proof } = exchange.response
  const opening = transcript.opening(suite1, attempt.challenged, nonce, share)
  const hashes = {
    start: transcript.start(suite1, a.peerId, b.peerId),
    request: requested,
    challenge: attempt.challenged,
    opening,
    response: winner.responded,
    proved: transcript.proved(suite1, winner.responded, proof),
    complete: transcript.complete(suite1, winner.responded, proof, agreement.complete.sealed),
  }
  assert.deepEqual(transcript.response(suite1, opening, sealed), winner.responded)
  const messages = [candidate.request, attempt.challenge, exchange.response, agreement.complete, confirmed]
  return { alice, bob, candidate, attempt, exchange, winner, agreement, joined, hashes, messages }
}

/** The MAC of a message as it is written in JSON. */
function encoded(message: PairingMessage): unknown {
  const json = JSON.parse(new TextDecoder().decode(encodeMessage(message))) as Record<string, unknown>
  return json['mac']
}

function hexed(values: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]: [string, unknown]) => [
      key,
      value instanceof Uint8Array ? hex(value) : '',
    ]),
  )
}
