import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { HelloPeers, HelloSecrets, PairKey } from '../../../src/network/session/session-hello.ts'
import {
  chooseKey,
  decodeDialerHello,
  encodeDialerHello,
  encodeDialerProof,
  encodeListenerHello,
  verifyDialerProof,
  verifyListenerHello,
} from '../../../src/network/session/session-hello.ts'

const peers: HelloPeers = { dialer: new Uint8Array(38).fill(1), listener: new Uint8Array(38).fill(2) }
const older = pairKey(3, 'settled')
const newer = pairKey(4, 'provisional')
const other = pairKey(5, 'settled')

test('both sides find the newest key that both hold, whatever each calls it', () => {
  const promoted: PairKey = { ...newer, slot: 'settled' }
  const table: [dialer: PairKey[], listener: PairKey[], chosen: PairKey | undefined][] = [
    [[older], [older], older],
    [[newer, older], [newer, older], newer],
    [[newer, older], [older], older],
    [[older], [newer, older], older],
    [[promoted], [newer, older], newer],
    [[newer, older], [promoted], newer],
    [[newer], [older], undefined],
    [[newer, older], [other], undefined],
    [[other], [], undefined],
  ]
  for (const [dialerKeys, listenerKeys, chosen] of table) {
    const result = run(dialerKeys, listenerKeys)
    assert.deepEqual(result?.listenerKey.key, chosen?.key)
    assert.deepEqual(result?.dialerKey.key, chosen?.key)
    if (result !== undefined)
      assert.ok(listenerKeys.includes(result.listenerKey) && dialerKeys.includes(result.dialerKey))
  }
})

test('each side learns the other process by the instance that the proofs cover', () => {
  const dialer = secrets()
  const listener = secrets()
  const hello = encodeDialerHello(peers, dialer, [older])
  const answer = encodeListenerHello(peers, listener, hello, older)
  assert.deepEqual(decodeDialerHello(hello)?.instance, dialer.instance)
  assert.deepEqual(verifyListenerHello(peers, hello, answer, [older])?.instance, listener.instance)
})

test('reflection: a proof sent back by the side that received it proves nothing', () => {
  const hello = encodeDialerHello(peers, secrets(), [older])
  const answer = encodeListenerHello(peers, secrets(), hello, older)
  assert.equal(verifyDialerProof(peers, hello, answer, answer.slice(-32), older), false)
})

test('reflection: a hello echoed to a device that dials and listens at once proves nothing', () => {
  // The attacker has the peer id of `peers.listener` but no key, and is dialled; it dials back and has its own hello answered.
  const hello = encodeDialerHello(peers, secrets(), [older])
  const mirrored: HelloPeers = { dialer: peers.listener, listener: peers.dialer }
  const answerOfVictim = encodeListenerHello(mirrored, secrets(), hello, older)
  assert.equal(verifyListenerHello(peers, hello, answerOfVictim, [older]), null)
})

test('a proof made under another key, for other peers, or for an older hello is refused', () => {
  const hello = encodeDialerHello(peers, secrets(), [older])
  const answer = encodeListenerHello(peers, secrets(), hello, older)
  const proof = encodeDialerProof(peers, hello, answer, older)
  const stranger: HelloPeers = { ...peers, dialer: new Uint8Array(38).fill(9) }
  const laterHello = encodeDialerHello(peers, secrets(), [older])
  const laterAnswer = encodeListenerHello(peers, secrets(), laterHello, older)

  assert.equal(verifyDialerProof(peers, hello, answer, proof, older), true)
  assert.equal(verifyDialerProof(peers, hello, answer, proof, newer), false)
  assert.equal(verifyDialerProof(stranger, hello, answer, proof, older), false)
  assert.equal(verifyDialerProof(peers, laterHello, laterAnswer, proof, older), false)
  assert.equal(verifyListenerHello(peers, hello, answer, [newer]), null)
  assert.equal(verifyListenerHello(stranger, hello, answer, [older]), null)
  assert.equal(verifyListenerHello(peers, laterHello, answer, [older]), null)
})

test('each byte of each frame, flipped, is noticed', () => {
  const hello = encodeDialerHello(peers, secrets(), [newer, older])
  const answer = encodeListenerHello(peers, secrets(), hello, newer)
  const proof = encodeDialerProof(peers, hello, answer, newer)
  for (let index = 0; index < hello.length; index++) {
    assert.equal(verifyListenerHello(peers, flip(hello, index), answer, [newer, older]), null)
    assert.equal(verifyDialerProof(peers, flip(hello, index), answer, proof, newer), false)
  }
  for (let index = 0; index < answer.length; index++) {
    assert.equal(verifyListenerHello(peers, hello, flip(answer, index), [newer, older]), null)
  }
  for (let index = 0; index < proof.length; index++) {
    assert.equal(verifyDialerProof(peers, hello, answer, flip(proof, index), newer), false)
  }
})

test('a hello of another version or length is no hello', () => {
  const hello = encodeDialerHello(peers, secrets(), [older])
  assert.notEqual(decodeDialerHello(hello), null)
  const wrong = [
    new Uint8Array(0),
    hello.slice(0, -1),
    hello.slice(0, 49),
    Uint8Array.from([...hello, 0]),
    Uint8Array.from([...hello, ...new Uint8Array(32)]),
    Uint8Array.from([2, ...hello.slice(1)]),
  ]
  for (const payload of wrong) assert.equal(decodeDialerHello(payload), null)
})

test('key ids are fresh for every hello, so that nobody can follow a key by them', () => {
  const one = decodeDialerHello(encodeDialerHello(peers, secrets(), [older]))
  const two = decodeDialerHello(encodeDialerHello(peers, secrets(), [older]))
  assert.notDeepEqual(one?.keyIds, two?.keyIds)
})

function run(
  dialerKeys: PairKey[],
  listenerKeys: PairKey[],
): { dialerKey: PairKey; listenerKey: PairKey } | undefined {
  const hello = encodeDialerHello(peers, secrets(), dialerKeys)
  const decoded = decodeDialerHello(hello)
  assert.ok(decoded)
  const listenerKey = chooseKey(peers, decoded, listenerKeys)
  if (listenerKey === undefined) return undefined
  const answer = encodeListenerHello(peers, secrets(), hello, listenerKey)
  const verified = verifyListenerHello(peers, hello, answer, dialerKeys)
  assert.ok(verified)
  const proof = encodeDialerProof(peers, hello, answer, verified.pairKey)
  assert.ok(verifyDialerProof(peers, hello, answer, proof, listenerKey))
  return { dialerKey: verified.pairKey, listenerKey }
}

function pairKey(fill: number, slot: PairKey['slot']): PairKey {
  return { key: new Uint8Array(32).fill(fill), slot }
}

function secrets(): HelloSecrets {
  return { instance: Uint8Array.from(randomBytes(16)), nonce: Uint8Array.from(randomBytes(32)) }
}

function flip(bytes: Uint8Array, index: number): Uint8Array {
  return bytes.map((byte, at) => (at === index ? byte ^ 1 : byte))
}
