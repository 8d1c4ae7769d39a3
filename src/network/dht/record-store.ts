import { AsyncLocalStorage } from 'node:async_hooks'
import { NotFoundError, type Connection } from '@libp2p/interface'
import { Libp2pRecord } from '@libp2p/record'
import { BaseDatastore } from 'datastore-core'
import { Key, type Pair } from 'interface-datastore'
import { unmarshalIPNSRecord } from 'ipns'
import { ipnsSelector } from 'ipns/selector'
import type { Clock } from '../../api.ts'
import { maxRecordLength, maxSequence } from '../../pairing/address-record.ts'
import { networkOf } from '../addresses/network-of.ts'
import { StoreQuota, type RecordLimits, type Writer } from './store-quota.ts'

/** Connection of the request being handled, which the DHT does not pass to its datastore. */
export const servedConnection = new AsyncLocalStorage<Connection>()

/**
 * Datastore of a DHT server, for records only. js-libp2p's DHT compares nothing on a PUT, so an old record would replace a newer
 * one: here it is refused, as is one that is too large, of another kind, or one too many from the same place. The DHT's validator
 * has checked the signature before. PROTOCOL.md, 'Address record'.
 */
export class RecordStore extends BaseDatastore {
  readonly #records = new Map<string, Uint8Array>()
  readonly #quota: StoreQuota

  constructor(clock: Clock, limits: RecordLimits = {}) {
    super()
    this.#quota = new StoreQuota(clock, limits)
  }

  /** Number of records. */
  get size(): number {
    return this.#records.size
  }

  override put(key: Key, bytes: Uint8Array): Key {
    const name = key.toString()
    const candidate = parseRecord(name, bytes)
    this.#dropExpired()
    const before = this.#records.get(name)
    const stored = before === undefined ? null : parseRecord(name, before)
    // 1: the stored one is better.
    if (stored !== null && ipnsSelector(candidate.key, [candidate.value, stored.value]) === 1) {
      throw new Error('a newer record is stored')
    }
    for (const dropped of this.#quota.admit(name, writer())) this.#records.delete(dropped)
    this.#records.set(name, bytes)
    return key
  }

  override get(key: Key): Uint8Array {
    this.#dropExpired()
    const bytes = this.#records.get(key.toString())
    if (bytes === undefined) throw new NotFoundError()
    return bytes
  }

  override has(key: Key): boolean {
    this.#dropExpired()
    return this.#records.has(key.toString())
  }

  override delete(key: Key): void {
    this.#quota.forget(key.toString())
    this.#records.delete(key.toString())
  }

  override *_all(): Generator<Pair> {
    this.#dropExpired()
    for (const [name, value] of this.#records) yield { key: new Key(name), value }
  }

  override *_allKeys(): Generator<Key> {
    this.#dropExpired()
    for (const name of this.#records.keys()) yield new Key(name)
  }

  #dropExpired(): void {
    for (const expired of this.#quota.expire()) this.#records.delete(expired)
  }
}

/**
 * Parses a record under an Ed25519 key, the only kind that is kept. The DHT's own checks are no help here: it looks up the
 * validator of `/constructor/...` in a plain object, finds one, and stores what it is given.
 */
function parseRecord(name: string, bytes: Uint8Array): { key: Uint8Array; value: Uint8Array } {
  if (!name.startsWith('/dht/record/')) throw new Error('nothing but records is kept')
  const { key, value } = Libp2pRecord.deserialize(bytes)
  if (key.length !== ed25519Key.length + 32 || ed25519Key.some((byte, index) => key[index] !== byte)) {
    throw new Error('nothing but IPNS records under Ed25519 keys is kept')
  }
  if (value.length > maxRecordLength) throw new Error('the record is too large')
  if (unmarshalIPNSRecord(value).sequence > maxSequence) throw new Error('the sequence is too high')
  return { key, value }
}

/** Prefix of a key: `/ipns/`, the identity multihash of 36 bytes, the protobuf head of an Ed25519 key of 32 bytes. */
const ed25519Key = Uint8Array.from([...Buffer.from('/ipns/'), 0x00, 0x24, 0x08, 0x01, 0x12, 0x20])

function writer(): Writer {
  const connection = servedConnection.getStore()
  if (connection === undefined) return { peer: 'self', address: 'self' }
  return { peer: connection.remotePeer.toString(), address: networkOf(connection.remoteAddr) }
}
