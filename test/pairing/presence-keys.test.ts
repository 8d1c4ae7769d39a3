import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unmarshalIPNSRecord } from 'ipns'
import {
  presenceEpoch,
  presenceEpochMs,
  presenceEpochsToRead,
  presenceKeys,
} from '../../src/pairing/presence-keys.ts'
import { encodeAddressRecord, recordRoutingKey } from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'

const pairKey = new Uint8Array(32).fill(3)
const alice = '12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss'
const bob = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

test('an epoch is six hours, and its neighbours are read too', () => {
  const epoch = 82_400
  const startMs = epoch * presenceEpochMs
  assert.equal(presenceEpoch(startMs - 1), epoch - 1)
  assert.equal(presenceEpoch(startMs), epoch)
  assert.equal(presenceEpoch(startMs + 6 * 3_600_000 - 1), epoch)
  assert.deepEqual(presenceEpochsToRead(startMs + 5), [epoch, epoch - 1, epoch + 1])
})

test('two devices whose clocks are up to six hours apart read what the other one writes', () => {
  for (const apartMs of [0, 1, 3_600_000, presenceEpochMs]) {
    for (let atMs = 82_400 * presenceEpochMs; atMs < 82_401 * presenceEpochMs; atMs += 599_999) {
      assert.ok(presenceEpochsToRead(atMs).includes(presenceEpoch(atMs + apartMs)))
      assert.ok(presenceEpochsToRead(atMs + apartMs).includes(presenceEpoch(atMs)))
    }
  }
})

test('threat 38: records of one device in different epochs have nothing in common', async () => {
  const routingKeys = new Set<string>()
  const secrets = new Set<string>()
  for (const writer of [alice, bob]) {
    for (const key of [pairKey, new Uint8Array(32).fill(4)]) {
      for (const epoch of [82_399, 82_400, 82_401]) {
        const keys = presenceKeys(suite1, key, writer, epoch)
        secrets.add(String(keys.signingSeed)).add(String(keys.recordKey))
        routingKeys.add(String(await recordRoutingKey(keys)))
      }
    }
  }
  assert.equal(routingKeys.size, 12)
  assert.equal(secrets.size, 24)
})

test('threat 38: all that differs in clear between two records is key, signature and random bytes', async () => {
  const stamp = { sequence: 12n, validUntil: '2026-12-02T12:00:00.000000000Z' }
  const [first, second] = await Promise.all(
    [82_399, 82_400].map(async (epoch, at) => {
      const keys = presenceKeys(suite1, pairKey, alice, epoch)
      const nonce = new Uint8Array(32).fill(at)
      const content = { peer: alice, addresses: ['/ip4/192.0.2.1/tcp/4001'] }
      const encoded = await encodeAddressRecord(suite1, keys, content, { ...stamp, nonce })
      return unmarshalIPNSRecord(encoded)
    }),
  )
  assert.deepEqual(clear(first), clear(second))
  // The version's byte and the nonces' own bytes apart, no run of characters of one value is in the other.
  const [one = '', other = ''] = [first?.value.slice(46), second?.value.slice(46)]
  for (let at = 0; at + 8 <= one.length; at += 8) assert.equal(other.includes(one.slice(at, at + 8)), false)
})

function clear(record: { validity: string; sequence: bigint; ttl?: bigint; value: string } | undefined) {
  return { ...record, value: record?.value.length, signatureV2: null, data: null }
}
