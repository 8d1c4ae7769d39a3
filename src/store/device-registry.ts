import type { DeviceInfo, DeviceState, ReachabilityFinding } from '../api.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { NewConnection } from './live-state.ts'

export interface PairKeys {
  /** Settled pairing; absent while the device is unknown or revoked. */
  settled?: { key: Uint8Array; state: 'active' | 'needs-pairing' }
  provisional?: { key: Uint8Array; state: 'pending' | 'confirming'; acknowledgement: Uint8Array }
}

/** Reason for the lack of a connection: a SpacedockError, or one with what is known besides. */
export interface Failure {
  code: string
  message: string
  hint?: string | null | undefined
  finding?: ReachabilityFinding | null
}

/** Called after a change of state; `before` is null for a device that was not known. */
export type DeviceListener = (before: DeviceState | null, device: DeviceInfo) => void
/**
 * Called after other changes. `path`: it is still connected, another way. `details`: something else than the state that is worth
 * telling.
 */
export type DeviceUpdateListener = (what: 'path' | 'details', device: DeviceInfo) => void

/**
 * Peers as devices: the stored trust and what is seen of them now. A settled device's state is `needs-pairing`, `revoked`,
 * or, when it is trusted, how its connection is; only a device that is not settled is `pairing` or `discovered`.
 */
export interface DeviceRegistry {
  /** Every device, in the order of the peer ids; the discovered ones last. */
  list(): DeviceInfo[]
  get(peerId: PeerId): DeviceInfo | undefined
  /** State alone, for what asks often; null for a device that is not known. */
  stateOf(peerId: PeerId): DeviceState | null
  /** Finds one of the paired, needs-pairing and revoked devices. Errors: `no-device`, `ambiguous-device`. */
  find(reference: string): DeviceInfo
  /** Gives a device another name. Errors: `invalid-argument` (taken, or nothing to be seen), `no-device`. */
  rename(peerId: PeerId, name: string): DeviceInfo
  /** Marks a trusted device, the only kind that can get there. Returns whether it changed. */
  markNeedsPairing(peerId: PeerId): boolean
  /** Records the revocation notice by which the device has revoked this one: its key is of no use any more. */
  markRevokedThere(peerId: PeerId, revocationNotice: Uint8Array): void
  /** Leaves a tombstone without keys, and drops what waits for the device. Error: `no-device`. */
  revoke(peerId: PeerId): DeviceInfo
  /** Replaces the addresses seen earlier. Beyond 1,000 unpaired peers the one not seen for longest is forgotten. */
  sighted(peerId: PeerId, addresses: readonly string[]): void
  lost(peerId: PeerId): void
  /** Counts the pairings with the peer as they begin or end. */
  pairing(peerId: PeerId, running: boolean): void
  /** Records a connection; `address` is the other end as it is now. */
  connected(peerId: PeerId, connection: NewConnection): void
  /** Adds an address at which the device, paired or about to be, can be dialled: the first to try next time. */
  reachableAt(peerId: PeerId, address: string): void
  /** Records the round trip over its connection. */
  measured(peerId: PeerId, roundTripMs: number): void
  /** Records the end of the connection, or that a trusted device was looked for and not reached, and why. */
  disconnected(peerId: PeerId, failure?: Failure | null): void
  /** Addresses at which to look for it: those that worked and those seen now, by turns, the first of each first. */
  addressesOf(peerId: PeerId): string[]
  pairKeysOf(peerId: PeerId): PairKeys
  /** Calls the listener after every change of a device's state; the function returned stops it. */
  onChange(listener: DeviceListener): () => void
  /** Calls the listener when something else about a device has changed; the function returned stops it. */
  onUpdate(listener: DeviceUpdateListener): () => void
}
