import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  deriveRevocationNotice,
  revocationNoticesIn,
  isRevocationNotice,
} from '../../src/pairing/revocation-notice.ts'

const key = new Uint8Array(32).fill(7)
const alice = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
const bob = '12D3KooWMo5gRbZQ4vRn2bkAA8T5BG1XXwF2pTsedRDBCuBhJQN2'

test('a revocation notice is about one key, from one device, to one other', () => {
  const notice = deriveRevocationNotice(key, alice, bob)
  assert.equal(notice.length, 32)
  assert.ok(isRevocationNotice(notice, key, alice, bob))
  assert.ok(!isRevocationNotice(notice, key, bob, alice), 'it cannot be sent back')
  assert.ok(!isRevocationNotice(notice, key.with(0, 8), alice, bob))
  assert.ok(!isRevocationNotice(notice.with(31, (notice[31] ?? 0) ^ 1), key, alice, bob))
  assert.ok(!isRevocationNotice(new Uint8Array(), key, alice, bob))
  assert.ok(!isRevocationNotice(notice.subarray(0, 31), key, alice, bob))
})

test('two are said one after the other, and either counts', () => {
  const notice = deriveRevocationNotice(key, alice, bob)
  const other = new Uint8Array(32)
  for (const said of [
    [notice, other],
    [other, notice],
  ]) {
    const joined = new Uint8Array(Buffer.concat(said))
    assert.deepEqual(revocationNoticesIn(joined), said)
    assert.ok(isRevocationNotice(joined, key, alice, bob))
  }
})
