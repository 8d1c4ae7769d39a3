import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRelaySecret } from '../../src/network/addresses/rendezvous-address.ts'
import { relayAccessProof } from '../../src/pairing/relay-access.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { bytes, hex, vectors } from '../vectors.ts'

test('the proof of a relay’s secret is as in the vectors', () => {
  const all = vectors('relay-access.json')
  assert.ok(all.length > 0)
  for (const { secret, suffix, relay, device, proof } of all) {
    assert.equal(hex(relayAccessProof(suite1, bytes(secret), relay, device)), proof)
    assert.deepEqual(decodeRelaySecret(suffix.slice(1)), bytes(secret))
  }
})
