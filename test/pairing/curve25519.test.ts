import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { ed25519PublicKey, x25519PublicKey, x25519SharedSecret } from '../../src/pairing/curve25519.ts'

const key = fc.uint8Array({ minLength: 32, maxLength: 32 })

test('public keys are those of another implementation', () => {
  fc.assert(
    fc.property(key, (secret) => {
      assert.deepEqual(ed25519PublicKey(secret), ed25519.getPublicKey(secret))
      assert.deepEqual(x25519PublicKey(secret), x25519.getPublicKey(secret))
    }),
    { numRuns: 20 },
  )
})

test('shared secrets are those of another implementation, of any share that somebody sends', () => {
  fc.assert(
    fc.property(key, key, (secret, share) => {
      assert.deepEqual(x25519SharedSecret(secret, share), x25519.getSharedSecret(secret, share))
    }),
    { numRuns: 20 },
  )
})

test('both sides come to the same secret', () => {
  const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  assert.deepEqual(
    x25519SharedSecret(one, x25519PublicKey(other)),
    x25519SharedSecret(other, x25519PublicKey(one)),
  )
})

test('a secret of another length is a defect of the caller, a share of another length is no share', () => {
  for (const length of [0, 31, 33]) {
    assert.throws(() => ed25519PublicKey(new Uint8Array(length)), /a key of/u)
    assert.equal(x25519SharedSecret(new Uint8Array(32).fill(1), new Uint8Array(length)), null)
  }
})
