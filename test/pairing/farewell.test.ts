import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deriveFarewell, farewellsIn, isFarewell } from '../../src/pairing/farewell.ts'

const key = new Uint8Array(32).fill(7)
const alice = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
const bob = '12D3KooWMo5gRbZQ4vRn2bkAA8T5BG1XXwF2pTsedRDBCuBhJQN2'

test('a farewell is about one key, from one device, to one other', () => {
  const farewell = deriveFarewell(key, alice, bob)
  assert.equal(farewell.length, 32)
  assert.ok(isFarewell(farewell, key, alice, bob))
  assert.ok(!isFarewell(farewell, key, bob, alice), 'it cannot be sent back')
  assert.ok(!isFarewell(farewell, key.with(0, 8), alice, bob))
  assert.ok(!isFarewell(farewell.with(31, (farewell[31] ?? 0) ^ 1), key, alice, bob))
  assert.ok(!isFarewell(new Uint8Array(), key, alice, bob))
  assert.ok(!isFarewell(farewell.subarray(0, 31), key, alice, bob))
})

test('two are said one after the other, and either counts', () => {
  const farewell = deriveFarewell(key, alice, bob)
  const other = new Uint8Array(32)
  for (const said of [
    [farewell, other],
    [other, farewell],
  ]) {
    const joined = new Uint8Array(Buffer.concat(said))
    assert.deepEqual(farewellsIn(joined), said)
    assert.ok(isFarewell(joined, key, alice, bob))
  }
})
