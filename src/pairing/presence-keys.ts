import { fields } from './fields.ts'
import type { AddressRecordKeys } from './address-record.ts'
import type { Suite } from './suite.ts'

/** Time that one pair of presence keys is used. */
export const presenceEpochMs = 6 * 3_600_000

/** The number of the epoch that a wall clock is in. */
export function presenceEpoch(wallMs: number): number {
  return Math.floor(wallMs / presenceEpochMs)
}

/** Epochs under which the other device may have written: its clock may be up to one epoch off. */
export function presenceEpochsToRead(wallMs: number): number[] {
  const current = presenceEpoch(wallMs)
  return [current, current - 1, current + 1]
}

/**
 * Derives the keys of the record by which `writerPeerId` is found again by the device it is paired with. Each direction and each
 * epoch has keys of its own, so that records of different epochs, of the two devices, or of one device's different pairs have
 * nothing in common without the pair key. PROTOCOL.md, 'LiveState'.
 *
 * @param pairKey 32 bytes
 * @param writerPeerId base58btc
 */
export function presenceKeys(
  suite: Suite,
  pairKey: Uint8Array,
  writerPeerId: string,
  epoch: number,
): AddressRecordKeys {
  const derive = (label: string): Uint8Array =>
    suite.expand(pairKey, fields(label, writerPeerId, epoch.toString()), 32)
  return { signingSeed: derive('presence-signing-seed'), recordKey: derive('presence-record-key') }
}
