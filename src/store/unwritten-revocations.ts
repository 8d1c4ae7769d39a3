import { SpacedockError } from '../errors.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { TrustRecord } from './trust-record.ts'

/** Tombstone that counts, although the disk would not take it, and what belongs to it. */
interface Owed {
  tombstone: TrustRecord
  alongside: (() => void) | undefined
}

/** Revocations that could not be written down. They go with the next change of the registry that can be; one for each device. */
export class UnwrittenRevocations {
  readonly #owed = new Map<PeerId, Owed>()
  /** What belongs to tombstones that are written. */
  readonly #rests: (() => void)[] = []

  add(tombstone: TrustRecord, alongside?: () => void): void {
    this.#owed.set(tombstone.peerId, { tombstone, alongside })
  }

  /** Adds what belongs to a tombstone that is written already. */
  addRest(rest: () => void): void {
    this.#rests.push(rest)
  }

  get isOwed(): boolean {
    return this.#owed.size > 0 || this.#rests.length > 0
  }

  /** Tombstones of devices other than these, about which something newer is being written. */
  besides(peers: readonly PeerId[]): TrustRecord[] {
    return this.tombstones().filter(({ peerId }) => !peers.includes(peerId))
  }

  tombstones(): TrustRecord[] {
    return [...this.#owed.values()].map(({ tombstone }) => tombstone)
  }

  /** Does what belongs to them, in the transaction that writes them. */
  settle(): void {
    for (const { alongside } of this.#owed.values()) alongside?.()
    for (const rest of this.#rests) rest()
  }

  clear(): void {
    this.#owed.clear()
    this.#rests.length = 0
  }
}

export function notWrittenDown(name: string, cause: SpacedockError): SpacedockError {
  return new SpacedockError(
    cause.code,
    `The device "${name}" is cut off, but that could not be written down: ${cause.message}`,
    {
      hint: 'Make room on the disk, or make it writable, and leave Spacedock running until then: started anew before, it would trust the device again.',
      cause,
    },
  )
}
