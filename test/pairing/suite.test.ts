import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fields } from '../../src/pairing/fields.ts'
import { challengeProbe, sameMac } from '../../src/pairing/proofs.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { commit, transcript } from '../../src/pairing/transcript.ts'
import { aliceId, bobId, expectMessage, flipped, InitiatorParty, JoinerParty, meet } from './builders.ts'

/** RFC 7748, section 6.1, and every other encoding of the points of order 1, 2, 4 and 8, little-endian. */
const lowOrder = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((point) => [point, withHighBit(point)])

test('RFC 7748, section 5.2: the first example', () => {
  const scalar = hex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4')
  const share = hex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')
  const shared = hex('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552')
  assert.deepEqual(suite1.sharedSecret(scalar, share), shared)
})

for (const point of lowOrder) {
  test(`threat 12: the low-order share ${point.slice(0, 8)}…${point.slice(-2)} is refused by both sides`, () => {
    const share = hex(point)
    assert.equal(suite1.sharedSecret(new Uint8Array(32).fill(9), share), null)

    // A holder of the code as initiator: everything about its Challenge is right but the share.
    const bob = new JoinerParty()
    const asked = bob.find(aliceId)
    const start = transcript.start(suite1, aliceId, bobId)
    const requested = transcript.request(suite1, start, asked.commitment, asked.probe)
    const nonce = new Uint8Array(32)
    const probe = challengeProbe(bob.context, requested, nonce, share)
    assert.equal(bob.hear(aliceId, { type: 'Challenge', nonce, share, probe }), null)
    assert.equal(bob.state.phase, 'searching')

    // And as joiner: the commitment is to that very share.
    const alice = new InitiatorParty()
    const commitment = commit(suite1, nonce, share)
    const thief = requestWith(commitment)
    expectMessage(alice.hear(bobId, thief), 'Challenge')
    const { response } = meet().messages
    assert.equal(alice.hear(bobId, { ...response, nonce, share }), null)
    assert.equal(alice.state.phase === 'ended' && alice.state.reason, 'burnt')
  })
}

test('sealing: any bit turned in key, text or associated data, and nothing opens', () => {
  const [key, plaintext, data] = [new Uint8Array(32).fill(1), new Uint8Array(40).fill(2), new Uint8Array(8)]
  const sealed = suite1.seal(key, plaintext, data)
  assert.deepEqual(suite1.open(key, sealed, data), plaintext)
  for (let index = 0; index < sealed.length; index++) {
    assert.equal(suite1.open(key, flipped(sealed, index), data), null)
  }
  assert.equal(suite1.open(flipped(key), sealed, data), null)
  assert.equal(suite1.open(key, sealed, flipped(data)), null)
  assert.equal(suite1.open(key, sealed.slice(0, 10), data), null)
  assert.equal(suite1.open(key, new Uint8Array(), data), null)
})

test('HKDF, RFC 5869, appendix A.1', () => {
  const key = suite1.extract(hex('000102030405060708090a0b0c'), new Uint8Array(22).fill(0x0b))
  assert.deepEqual(key, hex('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5'))
  const okm = '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'
  assert.deepEqual(suite1.expand(key, hex('f0f1f2f3f4f5f6f7f8f9'), 42), hex(okm))
})

test('fields: no two lists of parts have the same encoding', () => {
  const lists = [
    [],
    [''],
    ['', ''],
    ['a'],
    ['a', ''],
    ['', 'a'],
    ['ab'],
    ['a', 'b'],
    ['\0\0\0\0'],
    ['é'],
    ['e\u0301'],
  ]
  const encodings = lists.map((list) => fields(...list).join())
  assert.equal(new Set(encodings).size, lists.length)
  assert.deepEqual(fields('é', Uint8Array.of(1)), Uint8Array.of(0, 0, 0, 2, 0xc3, 0xa9, 0, 0, 0, 1, 1))
})

test('sameMac tells every single bit, and lengths', () => {
  const mac = Uint8Array.from({ length: 32 }, (_, index) => index * 7)
  assert.ok(sameMac(mac, mac.slice()))
  for (let index = 0; index < 32; index++) {
    for (let bit = 0; bit < 8; bit++) {
      assert.equal(
        sameMac(
          mac,
          mac.map((byte, at) => (at === index ? byte ^ (1 << bit) : byte)),
        ),
        false,
      )
    }
  }
  assert.equal(sameMac(mac, mac.slice(0, 31)), false)
  assert.equal(sameMac(mac.slice(0, 31), mac), false)
  assert.equal(sameMac(mac, new Uint8Array()), false)
})

function requestWith(commitment: Uint8Array) {
  const { context } = new InitiatorParty()
  const start = transcript.start(suite1, aliceId, bobId)
  const probe = suite1.mac(context.keys.probeKey, fields('request', start, commitment)).slice(0, 16)
  return { type: 'PairingRequest', version: 1, suite: suite1.name, commitment, probe } as const
}

function withHighBit(point: string): string {
  return point.slice(0, -2) + (Number.parseInt(point.slice(-2), 16) | 0x80).toString(16)
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16))
}
