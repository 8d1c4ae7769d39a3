import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { createIPNSRecordWithExpiration, marshalIPNSRecord, unmarshalIPNSRecord } from 'ipns'
import { ipnsSelector } from 'ipns/selector'
import { ipnsValidator } from 'ipns/validator'
import { deriveCodeKeys } from '../../src/pairing/key-schedule.ts'
import { presenceKeys } from '../../src/pairing/presence-keys.ts'
import {
  decodeAddressRecord,
  encodeAddressRecord,
  maxRecordAddresses,
  maxSequence,
  maxRecordLength,
  recordRoutingKey,
  type AddressRecordContent,
  type AddressRecordKeys,
} from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { vectors } from '../vectors.ts'
import { readRecord, recordOfVersion, signedRecord } from './read-record.ts'

const peer = '12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss'
const keys = keysOf(1)
const validUntil = new Date(Date.now() + 48 * 3_600_000).toISOString()
const addresses = ['/ip4/192.0.2.1/tcp/4001', '/ip6/2001:db8::1/tcp/4001']

for (const vector of vectors('records.json')) {
  test(`record vector "${vector.name}"`, async () => {
    const vectorKeys = { signingSeed: bytes(vector.signingSeed), recordKey: bytes(vector.recordKey) }
    if (vector.entropy !== undefined) {
      const { signingKey, recordKey } = deriveCodeKeys(suite1, bytes(vector.entropy))
      assert.deepEqual({ signingSeed: signingKey, recordKey }, vectorKeys)
    }
    if (vector.pairKey !== undefined) {
      const { pairKey, peer: writer, epoch = 0 } = vector
      assert.deepEqual(presenceKeys(suite1, bytes(pairKey), writer, epoch), vectorKeys)
    }
    const content = { peer: vector.peer, addresses: vector.addresses }
    const stamp = {
      sequence: BigInt(vector.sequence),
      validUntil: vector.validUntil,
      nonce: bytes(vector.nonce),
    }
    const encoded = await encodeAddressRecord(suite1, vectorKeys, content, stamp)
    assert.equal(Buffer.from(encoded).toString('base64url'), vector.record)
    assert.equal(Buffer.from(await recordRoutingKey(vectorKeys)).toString('hex'), vector.routingKey)
    assert.deepEqual(await decodeAddressRecord(suite1, vectorKeys, encoded), {
      content,
      sequence: stamp.sequence,
    })
  })
}

test('PROTOCOL.md has a record by the words and one by a pair key', () => {
  assert.ok(vectors('records.json').some(({ entropy }) => entropy !== undefined))
  assert.ok(vectors('records.json').some(({ pairKey }) => pairKey !== undefined))
})

test('whatever is written is read, and every DHT server takes it', async () => {
  const anyAddress = fc
    .tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 }))
    .map(([ip, port]) => `/ip4/${ip}/tcp/${port}`)
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.array(anyAddress, { maxLength: maxRecordAddresses }),
      fc.bigInt({ min: 0n, max: maxSequence }),
      async (signingSeed, nonce, given, sequence) => {
        const own = { signingSeed, recordKey: nonce.toReversed() }
        const content = { peer, addresses: given }
        const encoded = await encodeAddressRecord(suite1, own, content, { sequence, validUntil, nonce })
        assert.deepEqual(await decodeAddressRecord(suite1, own, encoded), { content, sequence })
        await ipnsValidator(await recordRoutingKey(own), encoded)
        assert.ok(encoded.length <= maxRecordLength)
      },
    ),
    { numRuns: 30 },
  )
})

test('how many addresses there are does not show, nor does the record tell the peer id', async () => {
  const lengths = new Set<number>()
  for (let count = 0; count <= maxRecordAddresses; count++) {
    const encoded = await record({
      peer,
      addresses: Array.from({ length: count }, (_, at) => `/ip4/10.0.0.${at}/tcp/1`),
    })
    lengths.add(encoded.length)
    assert.equal(Buffer.from(encoded).includes(peer), false)
  }
  assert.equal(lengths.size, 1)
})

test('threat 20: a record with any byte changed, left out or added is ignored', async () => {
  const encoded = await record({ peer, addresses })
  for (let at = 0; at < encoded.length; at += at < 120 || at > encoded.length - 120 ? 1 : 17) {
    const changed = Uint8Array.from(encoded)
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
    assert.equal(await decode(changed), null, `byte ${at}`)
  }
  for (const length of [0, 1, 65, 66, 67, encoded.length - 1]) {
    assert.equal(await decode(encoded.slice(0, length)), null, `${length} bytes`)
  }
  for (const extra of [[0], [0x1a, 0x00], [0x28, 0x01], [0x3a, 0x01, 0x00], [0x7a, 0x01, 0x00]]) {
    assert.equal(await decode(Uint8Array.from([...encoded, ...extra])), null, `more: ${extra.join(' ')}`)
  }
})

test('threat 20: a record under other keys is ignored, whichever of the two differs', async () => {
  const encoded = await record({ peer, addresses })
  const other = keysOf(9)
  for (const wrong of [
    other,
    { ...keys, recordKey: other.recordKey },
    { ...keys, signingSeed: other.signingSeed },
  ]) {
    assert.equal(await decodeAddressRecord(suite1, wrong, encoded), null)
  }
})

test('threat 20: what holds more than a record may is ignored, however well it is signed', async () => {
  const tenKibibytes = await signed(`/${'A'.repeat(10_240)}`)
  assert.ok(tenKibibytes.length > maxRecordLength)
  assert.equal(await decode(tenKibibytes), null)
  const thousand = Array.from({ length: 1_000 }, (_, at) => `/ip4/10.0.${at >> 8}.${at & 255}/tcp/1`)
  assert.equal(await decode(await sealed({ peer, addresses: thousand.slice(0, 13) })), null)
  assert.equal(
    (await decode(await record({ peer, addresses: thousand })))?.content.addresses.length,
    maxRecordAddresses,
  )
})

test('threat 20: content that is not exactly what the protocol says is ignored', async () => {
  assert.notEqual(await decode(await sealed({ peer, addresses })), null, 'the helper seals as the code does')
  const wrong: unknown[] = [
    { peer },
    { addresses },
    { peer, addresses, more: 1 },
    { peer: 1, addresses },
    { peer: 'not base58: 0OIl', addresses },
    { peer, addresses: [['/ip4/10.0.0.1/tcp/1']] },
    { peer, addresses: ['ip4/10.0.0.1'] },
    { peer, addresses: ['/ip4/10.0.0.1/tcp/1\u001b[2J'] },
    { peer, addresses: [`/${'a'.repeat(512)}`] },
    [],
    null,
    'text',
  ]
  for (const content of wrong)
    assert.equal(await decode(await sealed(content)), null, JSON.stringify(content))
  const doubled = `{"peer":"${peer}","peer":"${peer}","addresses":[]}`
  assert.equal(await decode(await sealed(doubled, (text) => String(text))), null)
})

test('an IPNS record of another kind under the same key is ignored', async () => {
  for (const value of ['/ipfs/bafkqaaa', '/A', `/${'A'.repeat(1_431)}`, '/!!!!']) {
    assert.equal(await decode(await signed(value)), null, value.slice(0, 20))
  }
})

test('a record of version 1 and 2 together is ignored: nothing but what is signed may be there', async () => {
  const { value, validity, sequence } = unmarshalIPNSRecord(await record({ peer, addresses }))
  const privateKey = await generateKeyPairFromSeed('Ed25519', keys.signingSeed)
  const both = await createIPNSRecordWithExpiration(privateKey, value, sequence, validity, {
    v1Compatible: true,
  })
  assert.equal(await decode(marshalIPNSRecord(both)), null)
})

test('a record of another version is known by its first byte, once its signature is right, and everything else may differ', async () => {
  for (const version of [2, 255]) {
    const encoded = await recordOfVersion(keys, version)
    assert.deepEqual(await decodeAddressRecord(suite1, keys, encoded), { otherVersion: version })
    const forged = encoded.slice()
    const last = forged.length - 1
    forged[last] = (forged[last] ?? 0) ^ 1
    assert.equal(await decodeAddressRecord(suite1, keys, forged), null)
  }
  assert.equal(await decodeAddressRecord(suite1, keys, await recordOfVersion(keys, 0)), null)
})

test('the sequence that counts is the sealed one, and servers compare the same', async () => {
  const records = await Promise.all([7n, 9n, 8n].map((sequence) => record({ peer, addresses }, sequence)))
  const read = await Promise.all(records.map(decode))
  assert.deepEqual(
    read.map((one) => one?.sequence),
    [7n, 9n, 8n],
  )
  assert.equal(ipnsSelector(await recordRoutingKey(keys), records), 1)
  // The seal of one record under the sequence of another.
  const { value } = unmarshalIPNSRecord(records[0] ?? new Uint8Array())
  assert.equal(await decode(await signed(value, 10n)), null)
})

test('an address for which there is no room is left out, and the next one is kept', async () => {
  const long = `/dns4/${'a'.repeat(500)}/tcp/1`
  const longer = `/dns4/${'a'.repeat(510)}/tcp/1`
  const read = await decode(await record({ peer, addresses: [longer, long, long, long, ...addresses] }))
  assert.deepEqual(read?.content.addresses, [long, ...addresses])
})

async function record(content: AddressRecordContent, sequence = 1n): Promise<Uint8Array> {
  return encodeAddressRecord(suite1, keys, content, {
    sequence,
    validUntil,
    nonce: new Uint8Array(32).fill(5),
  })
}

function decode(encoded: Uint8Array) {
  return readRecord(keys, encoded)
}

function signed(value: string, sequence = 1n): Promise<Uint8Array> {
  return signedRecord(keys, value, { sequence, validUntil })
}

/** A well signed record with any sealed content, as a holder of the words could make it. */
async function sealed(
  content: unknown,
  encode: (content: unknown) => string = JSON.stringify,
): Promise<Uint8Array> {
  const plaintext = new Uint8Array(1_024).fill(0x20)
  plaintext.set(new TextEncoder().encode(encode(content)))
  const nonce = new Uint8Array(32).fill(6)
  const label = Buffer.from('\0\0\0\x11rendezvous-record')
  const key = suite1.expand(keys.recordKey, Buffer.concat([label, Buffer.from('\0\0\0\x20'), nonce]), 32)
  const box = suite1.seal(key, plaintext, Buffer.concat([label, Buffer.from('\0\0\0\x011')]))
  return signed(`/${Buffer.concat([Uint8Array.of(1), nonce, box]).toString('base64url')}`)
}

function keysOf(seed: number): AddressRecordKeys {
  return { signingSeed: new Uint8Array(32).fill(seed), recordKey: new Uint8Array(32).fill(seed + 1) }
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}
