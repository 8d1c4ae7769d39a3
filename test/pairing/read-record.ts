import assert from 'node:assert/strict'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { createIPNSRecordWithExpiration, marshalIPNSRecord } from 'ipns'
import {
  decodeAddressRecord,
  type ReadRecord,
  type AddressRecordKeys,
} from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'

/** A record of this version; null for what is none. */
export async function readRecord(
  keys: AddressRecordKeys,
  encoded: Uint8Array,
): Promise<Extract<ReadRecord, { sequence: bigint }> | null> {
  const read = await decodeAddressRecord(suite1, keys, encoded)
  assert.ok(read === null || 'content' in read, 'a record of another version')
  return read
}

/** A well signed record with any value. */
export async function signedRecord(
  { signingSeed }: AddressRecordKeys,
  value: string,
  { sequence, validUntil }: { sequence: bigint; validUntil: string },
): Promise<Uint8Array> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', signingSeed)
  const options = { v1Compatible: false } as const
  return marshalIPNSRecord(
    await createIPNSRecordWithExpiration(privateKey, value, sequence, validUntil, options),
  )
}

/** What a program of another version might write under the same keys. */
export async function recordOfVersion(keys: AddressRecordKeys, version: number): Promise<Uint8Array> {
  const value = `/${Buffer.from([version, 7, 7, 7]).toString('base64url')}`
  return signedRecord(keys, value, { sequence: 1n, validUntil: '2099-01-01T00:00:00.000000000Z' })
}
