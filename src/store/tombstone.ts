import {
  deriveRevocationNotice,
  maxRevocationNotices,
  revocationNoticesIn,
} from '../pairing/revocation-notice.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { TrustRecord } from './trust-record.ts'

/** Records of a device, the newest first: of a pairing that is not finished, then what is settled. */
type OwnRecords = readonly (TrustRecord | undefined)[]

/** Record of a device that was revoked: without keys, but with what has to be said to it should it come back. */
export function tombstoneOf(
  known: TrustRecord,
  own: OwnRecords,
  { localPeer, nowMs }: { localPeer: PeerId; nowMs: number },
): TrustRecord {
  const { peerId, name, pairedAtMs } = known
  const notices = noticesTo(peerId, own, localPeer)
  return {
    peerId,
    name,
    state: 'revoked',
    pairKey: new Uint8Array(),
    acknowledgement: null,
    ...(notices.length === 0 ? {} : { revocationNotice: new Uint8Array(Buffer.concat(notices)) }),
    pairedAtMs,
    changedAtMs: nowMs,
  }
}

/** Revocation notices for every key that the device may hold, the newest first. */
function noticesTo(peerId: PeerId, own: OwnRecords, localPeer: PeerId): Uint8Array[] {
  return own
    .flatMap((record) => {
      if (record?.state === 'revoked') return revocationNoticesIn(record.revocationNotice ?? new Uint8Array())
      if (record === undefined || record.pairKey.length === 0) return []
      return [deriveRevocationNotice(record.pairKey, localPeer, peerId)]
    })
    .slice(0, maxRevocationNotices)
}
