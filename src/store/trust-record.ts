import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import * as v from 'valibot'
import { revocationNoticeBytes, maxRevocationNotices } from '../pairing/revocation-notice.ts'
import { fields } from '../pairing/fields.ts'
import { epochMilliseconds } from './columns.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { parsePeerId } from '../libp2p-peer.ts'

/**
 * - `pending`: this side said yes as initiator and waits for the other's last word; grants nothing but finishing
 * - `confirming`: this side said yes as joiner and repeats its last word; grants nothing but finishing
 * - `active`: trusted
 * - `needs-pairing`: the other side said that it does not know us, or that it has revoked us: then there is a revocation notice
 * - `revoked`: a tombstone
 */
export type TrustState = 'pending' | 'confirming' | 'active' | 'needs-pairing' | 'revoked'

export interface TrustRecord {
  /** Peer id as libp2p writes it, base58btc. */
  peerId: PeerId
  /** Sanitised name. Unique among the trusted devices once the pairing is finished. */
  name: string
  state: TrustState
  /** 32 bytes; empty for `revoked`, and for `needs-pairing` with a revocation notice. */
  pairKey: Uint8Array
  /**
   * 32 bytes: the joiner's last word, which a `pending` record expects and a `confirming` one sends. Kept in an `active`
   * record, so that a repeated last word can still be answered; null when there is none.
   */
  acknowledgement: Uint8Array | null
  /**
   * Revocation notices of 32 bytes each, one or two, see pairing/revocation-notice.ts: in a tombstone those said to the device when
   * it comes back, with `needs-pairing` those that the device has said.
   */
  revocationNotice?: Uint8Array
  /** Time of the agreement of both people, milliseconds since the epoch. */
  pairedAtMs: number
  changedAtMs: number
}

/** Slot of a record: a pairing again has a row of its own, so that the trust there is stays until the new one is finished. */
export type TrustSlot = 'provisional' | 'settled'

export function slotOf(state: TrustState): TrustSlot {
  return state === 'pending' || state === 'confirming' ? 'provisional' : 'settled'
}

const key = v.pipe(v.instance(Uint8Array), v.length(32))
const noKey = v.pipe(v.instance(Uint8Array), v.length(0))
const revocationNotice = v.pipe(
  v.instance(Uint8Array),
  v.check(
    ({ length }) =>
      length > 0 &&
      length % revocationNoticeBytes === 0 &&
      length <= revocationNoticeBytes * maxRevocationNotices,
  ),
)
const common = {
  peerId: v.custom<PeerId>((value) => typeof value === 'string' && parsePeerId(value) !== null),
  name: v.pipe(v.string(), v.nonEmpty(), v.maxLength(256), v.regex(/^[^\p{Cc}\p{Cs}]+$/u)),
  pairedAtMs: epochMilliseconds,
  changedAtMs: epochMilliseconds,
}

export const trustRecordSchema: v.GenericSchema<unknown, TrustRecord> = v.variant('state', [
  v.strictObject({
    ...common,
    state: v.picklist(['pending', 'confirming']),
    pairKey: key,
    acknowledgement: key,
  }),
  v.strictObject({
    ...common,
    state: v.picklist(['active', 'needs-pairing']),
    pairKey: key,
    acknowledgement: v.nullable(key),
  }),
  v.strictObject({
    ...common,
    state: v.literal('needs-pairing'),
    pairKey: noKey,
    acknowledgement: v.null(),
    revocationNotice,
  }),
  v.strictObject({
    ...common,
    state: v.literal('revoked'),
    pairKey: noKey,
    acknowledgement: v.null(),
    revocationNotice: v.exactOptional(revocationNotice),
  }),
])

/** HMAC-SHA-256 (RFC 2104) under keys that only the holder of the identity can derive. */
export interface TrustSealer {
  /** MAC over every field of one row. */
  row(record: TrustRecord): Uint8Array
  /** MAC over the generation and the rows' MACs, in the order of `compareRows`. */
  registry(generation: number, rowMacs: Uint8Array[]): Uint8Array
}

export function trustSealer(identitySeed: Uint8Array): TrustSealer {
  const derive = (label: string): Uint8Array =>
    hkdf(sha256, identitySeed, fields('spacedock/store/1'), fields(label), 32)
  const rowKey = derive('trust-row')
  const registryKey = derive('trust-registry')
  return {
    row(record) {
      const { peerId, name, state, pairKey, acknowledgement, revocationNotice, pairedAtMs, changedAtMs } =
        record
      // An absent acknowledgement must not read like an empty one.
      const acknowledged = acknowledgement === null ? 'none' : fields(acknowledgement)
      const times = [String(pairedAtMs), String(changedAtMs)]
      // Rows from before there were revocation notices keep their MAC.
      const said = revocationNotice === undefined ? [] : [revocationNotice]
      return hmac(
        sha256,
        rowKey,
        fields(slotOf(state), peerId, name, state, pairKey, acknowledged, ...times, ...said),
      )
    },
    registry: (generation, rowMacs) => hmac(sha256, registryKey, fields(String(generation), ...rowMacs)),
  }
}

/** Canonical order, by UTF-16 code units and not by a locale. */
export function compareRows(a: TrustRecord, b: TrustRecord): number {
  const [left, right] = [`${a.peerId}/${slotOf(a.state)}`, `${b.peerId}/${slotOf(b.state)}`]
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** Copies a record: a caller that wipes its bytes must not change what is sealed next. */
export function copyOf(record: TrustRecord): TrustRecord {
  const acknowledgement = record.acknowledgement && Uint8Array.from(record.acknowledgement)
  const revocationNotice =
    record.revocationNotice === undefined
      ? {}
      : { revocationNotice: Uint8Array.from(record.revocationNotice) }
  return { ...record, pairKey: Uint8Array.from(record.pairKey), acknowledgement, ...revocationNotice }
}
