import { base64urlnopad } from '@scure/base'
import { generateKeyPairFromSeed, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, Ed25519PublicKey } from '@libp2p/interface'
import {
  createIPNSRecordWithExpiration,
  marshalIPNSRecord,
  multihashToIPNSRoutingKey,
  unmarshalIPNSRecord,
  type IPNSRecord,
} from 'ipns'
import * as v from 'valibot'
import type { BlindedSigner } from './blinded-key.ts'
import { fields } from './fields.ts'
import { sameMac } from './proofs.ts'
import { recordVersion } from './record-version.ts'
import { parseStrictJson } from './strict-json.ts'
import type { Suite } from './suite.ts'

/**
 * Keys of the record that a device leaves in the DHT so that another one finds it: an IPNS record
 * (https://specs.ipfs.tech/ipns/ipns-record/, V2 only), because that is what every DHT server stores. Only holders of the key can
 * write it, since the DHT checks its signature; only holders of the key can read it, since its value is sealed. PROTOCOL.md,
 * 'Address record'.
 */
export interface AddressRecordKeys {
  /** Ed25519 seed: says where in the DHT the record is, and who may write it. */
  signingSeed: Uint8Array
  /** Seals the value. */
  recordKey: Uint8Array
}

/** Keys of a record that one side writes and the other only reads. */
export interface BlindedKeys {
  /** Ed25519, 32 bytes. */
  publicKey: Uint8Array
  /** Null for the side that reads. */
  signer: BlindedSigner | null
  /** Seals the value. */
  recordKey: Uint8Array
}

export type RecordKeys = AddressRecordKeys | BlindedKeys

export interface AddressRecordContent {
  /** Peer id, base58btc, that answers at the addresses. */
  peer: string
  /** Multiaddrs, best first. */
  addresses: string[]
}

/** Random bytes that make the key of one sealed value. */
export const recordNonceLength = 32
/** Largest encoded record, bytes. */
export const maxRecordLength = 2_048
export const maxRecordAddresses = 12
/** Highest sequence: an honest one counts units of 10 s, or records. */
export const maxSequence = 0xffff_ffffn
const plaintextLength = 1_024
const sealLength = 16

/** Time that a DHT server that caches records may take one for fresh, ns. It must not delay the next one. */
const timeToLiveNs = 60_000_000_000n

const addressSchema = v.pipe(v.string(), v.regex(/^\/[\x21-\x7e]*$/u), v.maxLength(512))
const contentSchema = v.strictObject({
  peer: v.pipe(v.string(), v.regex(/^[1-9A-HJ-NP-Za-km-z]{1,128}$/u)),
  addresses: v.pipe(v.array(addressSchema), v.maxLength(maxRecordAddresses)),
})

/** The DHT key of the record: `/ipns/` and the multihash of the public key. 40-odd bytes, the same for all holders. */
export async function recordRoutingKey(keys: RecordKeys): Promise<Uint8Array> {
  const publicKey = await publicKeyOf(keys)
  return multihashToIPNSRoutingKey(publicKey.toMultihash())
}

export interface RecordStamp {
  /** Number that grows with every record under the same keys: the highest counts. Anybody can read it. */
  sequence: bigint
  /** End of validity, RFC 3339; anybody can read it. DHT servers drop the record then; it does not end the code. */
  validUntil: string
  /** 32 fresh random bytes. */
  nonce: Uint8Array
}

/** Encodes a record; leaves out an address for which there is no room, or that is none. */
export async function encodeAddressRecord(
  suite: Suite,
  keys: RecordKeys,
  content: AddressRecordContent,
  { sequence, validUntil, nonce }: RecordStamp,
): Promise<Uint8Array> {
  const privateKey = await signingKey(keys)
  const sealed = suite.seal(sealingKey(suite, keys, nonce), padded(content), associatedData(sequence))
  const value = `/${base64urlnopad.encode(concat(Uint8Array.of(recordVersion), nonce, sealed))}`
  const record = await createIPNSRecordWithExpiration(privateKey, value, sequence, validUntil, {
    v1Compatible: false,
    ttlNs: timeToLiveNs,
  })
  return marshalIPNSRecord(record)
}

/** Content that a holder of the keys wrote, or its other version. */
export type ReadRecord = { content: AddressRecordContent; sequence: bigint } | { otherVersion: number }

/**
 * Decodes a record; null unless a holder of the keys wrote it, to the last byte. Says nothing about its age: a reader compares
 * sequences.
 */
export async function decodeAddressRecord(
  suite: Suite,
  keys: RecordKeys,
  encoded: Uint8Array,
): Promise<ReadRecord | null> {
  if (encoded.length > maxRecordLength) return null
  try {
    const record = unmarshalIPNSRecord(encoded)
    // The seal comes first: it is cheaper to check than the signature.
    const read = openContent(suite, keys, record)
    if (read === null || !isCanonical(record, encoded)) return null
    const publicKey = await publicKeyOf(keys)
    const signed = concat(new TextEncoder().encode('ipns-signature:'), record.data)
    return (await publicKey.verify(signed, record.signatureV2)) ? read : null
  } catch {
    return null
  }
}

function openContent(suite: Suite, keys: RecordKeys, record: IPNSRecord): ReadRecord | null {
  const { value, sequence } = record
  if (typeof sequence !== 'bigint' || sequence < 0n || sequence > maxSequence) return null
  const bytes = base64urlnopad.decode(value.slice(1))
  const [version] = bytes
  if (version === undefined || version === 0) return null
  if (version !== recordVersion) return { otherVersion: version }
  if (bytes.length !== 1 + recordNonceLength + plaintextLength + sealLength) return null
  const nonce = bytes.slice(1, 1 + recordNonceLength)
  const sealed = bytes.slice(1 + recordNonceLength)
  const plaintext = suite.open(sealingKey(suite, keys, nonce), sealed, associatedData(sequence))
  const json = plaintext === null ? null : parseStrictJson(plaintext)
  const content = v.safeParse(contentSchema, json?.value)
  return content.success ? { content: content.output, sequence } : null
}

/** Whether there is nothing around what is signed: no second key, no fields of version 1, no unknown ones. */
function isCanonical(record: IPNSRecord, encoded: Uint8Array): boolean {
  const { value, validityType, validity, sequence, signatureV2, data } = record
  return sameMac(marshalIPNSRecord({ value, validityType, validity, sequence, signatureV2, data }), encoded)
}

/** Identity of a record's writer, for comparison. */
export function writerOf(keys: RecordKeys): string {
  return 'signingSeed' in keys ? keys.signingSeed.join() : keys.publicKey.join()
}

async function publicKeyOf(keys: RecordKeys): Promise<Ed25519PublicKey> {
  if ('signingSeed' in keys) return (await generateKeyPairFromSeed('Ed25519', keys.signingSeed)).publicKey
  const publicKey = publicKeyFromRaw(keys.publicKey)
  if (publicKey.type !== 'Ed25519') throw new TypeError('no Ed25519 key')
  return publicKey
}

/** Signing key as `ipns` uses it. */
async function signingKey(keys: RecordKeys): Promise<Ed25519PrivateKey> {
  if ('signingSeed' in keys) return generateKeyPairFromSeed('Ed25519', keys.signingSeed)
  const { signer } = keys
  if (signer === null) throw new TypeError('keys that only read')
  const used: Pick<Ed25519PrivateKey, 'type' | 'publicKey' | 'sign'> = {
    type: 'Ed25519',
    publicKey: await publicKeyOf(keys),
    sign: (message) => signer.sign(message.subarray()),
  }
  return used as Ed25519PrivateKey
}

function sealingKey(suite: Suite, { recordKey }: RecordKeys, nonce: Uint8Array): Uint8Array {
  return suite.expand(recordKey, fields('rendezvous-record', nonce), 32)
}

function associatedData(sequence: bigint): Uint8Array {
  return fields('rendezvous-record', sequence.toString())
}

/** Encodes as JSON, padded with spaces to one length: how many addresses a device has is nobody's business. */
function padded({ peer, addresses }: AddressRecordContent): Uint8Array {
  let json = encodeJson({ peer, addresses: [] })
  if (json.length > plaintextLength) throw new RangeError('a peer id longer than a record')
  const kept: string[] = []
  for (const address of addresses) {
    if (kept.length === maxRecordAddresses) break
    if (!v.is(addressSchema, address)) continue
    const longer = encodeJson({ peer, addresses: [...kept, address] })
    if (longer.length > plaintextLength) continue
    kept.push(address)
    json = longer
  }
  const plaintext = new Uint8Array(plaintextLength).fill(0x20)
  plaintext.set(json)
  return plaintext
}

function encodeJson(content: AddressRecordContent): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(content))
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((total, part) => total + part.length, 0))
  let offset = 0
  for (const part of parts) {
    result.set(part, offset)
    offset += part.length
  }
  return result
}
