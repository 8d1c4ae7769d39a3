import type { PeerId } from '../pairing/peer-id.ts'
import { slotOf, type TrustRecord, type TrustSlot } from './trust-record.ts'

/**
 * Whether a change takes nothing away: a copy of the registry from before it misses a device and brings none back. What the identity
 * file counts may then be raised a moment later, as long as it is before the next change that does take something away.
 */
export function onlyAdds(
  records: Record<TrustSlot, ReadonlyMap<PeerId, TrustRecord>>,
  writes: readonly TrustRecord[],
  deletes: readonly { peerId: PeerId; slot: TrustSlot }[],
): boolean {
  const added = new Set(writes.map(({ peerId }) => peerId))
  return (
    writes.length > 0 &&
    writes.every(
      ({ peerId, state }) =>
        state !== 'revoked' &&
        !records.settled.has(peerId) &&
        (slotOf(state) === 'settled' || !records.provisional.has(peerId)),
    ) &&
    deletes.every(({ peerId, slot }) => slot === 'provisional' && added.has(peerId))
  )
}
