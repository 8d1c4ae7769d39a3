import type { PeerId } from '../pairing/peer-id.ts'
import type { TrustRecord, TrustSlot } from './trust-record.ts'

/**
 * Whether a change takes nothing away: a copy of the registry from before it misses a device and brings none back. What the identity
 * file counts may then be raised a moment later, as long as it is before the next change that does take something away.
 */
export function onlyAdds(
  settled: ReadonlyMap<PeerId, TrustRecord>,
  writes: readonly TrustRecord[],
  deletes: readonly { peerId: PeerId; slot: TrustSlot }[],
): boolean {
  const added = new Set(writes.map(({ peerId }) => peerId))
  return (
    writes.length > 0 &&
    writes.every(({ peerId, state }) => !settled.has(peerId) && state !== 'revoked') &&
    deletes.every(({ peerId, slot }) => slot === 'provisional' && added.has(peerId))
  )
}
