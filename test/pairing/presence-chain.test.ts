import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { isBlindable } from '../../src/pairing/blinded-key.ts'
import { ed25519PublicKey } from '../../src/pairing/curve25519.ts'
import {
  chainAt,
  presenceReaderKeys,
  presenceWriterKeys,
  toldPresence,
  type OwnPresence,
} from '../../src/pairing/presence-chain.ts'
import {
  decodeAddressRecord,
  encodeAddressRecord,
  recordRoutingKey,
  type BlindedKeys,
} from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { bytes, hex, vectors } from '../vectors.ts'

const own: OwnPresence = {
  epoch: 82_400,
  key: new Uint8Array(32).fill(7),
  seed: new Uint8Array(32).fill(9),
}
const content = {
  peer: '12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss',
  addresses: ['/ip4/192.0.2.1/tcp/1'],
}
const stamp = { sequence: 5n, validUntil: '2030-01-01T00:00:00.000000000Z', nonce: new Uint8Array(32) }

test('what the writer writes in an epoch, the reader finds and reads, and it is an IPNS record like any other', async () => {
  for (const epoch of [82_400, 82_401, 82_400 + 1_461]) {
    const [writer, reader] = [writerAt(epoch), readerAt(epoch)]
    assert.deepEqual(await recordRoutingKey(writer), await recordRoutingKey(reader))
    const record = await encodeAddressRecord(suite1, writer, content, stamp)
    assert.deepEqual(await decodeAddressRecord(suite1, reader, record), { content, sequence: 5n })
  }
})

test('chains, blinded keys and signatures are as in the vectors', async () => {
  for (const vector of vectors('presence-chains.json')) {
    const { told, epoch } = vector
    const start = { epoch: told.epoch, key: bytes(told.key), seed: bytes(vector.seed) }
    assert.deepEqual(toldPresence(start), { ...told, key: start.key, publicKey: bytes(told.publicKey) })
    const chain = chainAt(suite1, start, epoch)
    assert.ok(chain)
    assert.equal(hex(chain.key), vector.chainKey)
    const writer = presenceWriterKeys(suite1, chain)
    const reader = presenceReaderKeys(suite1, { ...chain, publicKey: bytes(told.publicKey) })
    for (const { publicKey, recordKey } of [writer, reader])
      assert.deepEqual([hex(publicKey), hex(recordKey)], [vector.blindedKey, vector.recordKey])
    assert.equal(hex(await recordRoutingKey(reader)), vector.routingKey)
    assert.equal(hex(writer.signer?.sign(bytes(vector.message)) ?? assert.fail()), vector.signature)
  }
})

test('signatures are those of RFC 8032 under the blinded key', () => {
  const { signer, publicKey } = writerAt(82_405)
  const message = new TextEncoder().encode('a record')
  assert.ok(signer)
  assert.ok(ed25519.verify(signer.sign(message), message, publicKey, { zip215: false }))
  assert.ok(!ed25519.verify(signer.sign(message), message, ed25519PublicKey(own.seed), { zip215: false }))
})

test('threat 47: whoever has what the reader has cannot write', async () => {
  await assert.rejects(encodeAddressRecord(suite1, readerAt(82_400), content, stamp), TypeError)
  // The seed of somebody else gives other keys, in every epoch.
  const other = { ...own, seed: new Uint8Array(32).fill(8) }
  assert.notDeepEqual(presenceWriterKeys(suite1, other).publicKey, readerAt(82_400).publicKey)
})

test('threat 47: a chain goes forward, and never back', () => {
  const later = chainAt(suite1, own, 82_410)
  assert.ok(later)
  assert.equal(chainAt(suite1, later, 82_409), null)
  assert.deepEqual(chainAt(suite1, later, 82_420), chainAt(suite1, own, 82_420))
  assert.equal(chainAt(suite1, own, 82_400 + 20_000), null, 'a clock that is so far off is wrong')
  assert.equal(chainAt(suite1, own, Number.NaN), null)
})

test('threat 38: records of different epochs have no key in common', () => {
  const all = [82_400, 82_401, 82_402].flatMap((epoch) => [
    writerAt(epoch).publicKey,
    writerAt(epoch).recordKey,
  ])
  assert.equal(new Set(all.map(String)).size, 6)
})

test('points of low order, and what is no point, are no keys', () => {
  assert.equal(isBlindable(ed25519PublicKey(own.seed)), true)
  for (const bytes of [
    new Uint8Array(32),
    new Uint8Array(32).fill(255),
    Uint8Array.of(1, ...new Uint8Array(31)),
  ])
    assert.equal(isBlindable(bytes), false)
})

function writerAt(epoch: number): BlindedKeys {
  return presenceWriterKeys(suite1, chainAt(suite1, own, epoch) ?? assert.fail('no chain'))
}

function readerAt(epoch: number): BlindedKeys {
  return presenceReaderKeys(suite1, chainAt(suite1, toldPresence(own), epoch) ?? assert.fail('no chain'))
}
