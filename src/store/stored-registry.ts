import type { DeviceInfo, DeviceState } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { ChangeFilter } from './change-filter.ts'
import type { Contacts } from './contacts.ts'
import type { PresenceStates } from './presence-states.ts'
import { deviceIdOf } from './device-id.ts'
import { chosenName } from './name-choice.ts'
import type {
  DeviceListener,
  DeviceRegistry,
  DeviceUpdateListener,
  Failure,
  PairKeys,
} from './device-registry.ts'
import { findDevice } from './device-search.ts'
import { interleave } from './interleave.ts'
import { liveStates, type LiveStates, type NewConnection } from './live-state.ts'
import type { Outbox } from './outbox.ts'
import { isDiskFailure } from './storage-error.ts'
import type { TrustRecord } from './trust-record.ts'
import type { Trust, WallClock } from './trust.ts'

export interface RegistryParts {
  trust: Trust
  contacts: Contacts
  presence: PresenceStates
  outbox: Outbox
  clock: WallClock
}

/** Registry over the stored trust, and the live states in memory. */
export class StoredRegistry implements DeviceRegistry {
  readonly #trust: Trust
  readonly #contacts: Contacts
  readonly #presence: PresenceStates
  readonly #outbox: Outbox
  readonly #clock: WallClock
  readonly #live: LiveStates
  readonly #told = new ChangeFilter()
  readonly #listeners = new Set<DeviceListener>()
  readonly #updateListeners = new Set<DeviceUpdateListener>()
  /** Devices that were trusted at the last change of their records. */
  readonly #trusted: Set<PeerId>

  constructor({ trust, contacts, presence, outbox, clock }: RegistryParts) {
    this.#presence = presence
    this.#trust = trust
    this.#contacts = contacts
    this.#outbox = outbox
    this.#clock = clock
    this.#live = liveStates((peerId) => trust.get(peerId) !== undefined)
    const active = trust.list().filter(({ state }) => state === 'active')
    this.#trusted = new Set(active.map(({ peerId }) => peerId))
    for (const { peerId } of [...trust.list(), ...trust.provisionals()]) this.#announce(peerId)
    // A tombstone that was written into the last of the disk's space left this for later.
    const revoked = trust.list().filter(({ state }) => state === 'revoked')
    for (const { peerId } of revoked) unlessDiskFails(() => this.#forget(peerId))
    trust.onChange((peerId) => {
      this.#startOver(peerId)
      this.#announce(peerId)
      this.#forgetStranger(peerId)
    })
  }

  list(): DeviceInfo[] {
    const known = [...this.#trust.list(), ...this.#trust.provisionals()].map(({ peerId }) => peerId)
    return this.#describeAll([...new Set([...known, ...this.#live.peerIds()])])
  }

  get(peerId: PeerId): DeviceInfo | undefined {
    const state = this.stateOf(peerId)
    if (state === null) return undefined
    const id = deviceIdOf(peerId)
    const record = this.#trust.get(peerId) ?? this.#trust.provisional(peerId)
    const { connection, sightedAddresses, lastFailure } = this.#live.get(peerId)
    const contact = this.#contacts.get(peerId)
    const live = state === 'connected' ? connection : null
    const lastSeenMs = live === null ? contact?.lastSeenMs : this.#clock.wall()
    return {
      id,
      name: record?.name ?? id,
      peerId,
      state,
      needsPairing: state === 'needs-pairing' ? reasonFor(this.#trust.get(peerId)) : null,
      path: live?.path ?? null,
      limited: live?.limited ?? false,
      address: live?.address ?? contact?.addresses[0] ?? sightedAddresses?.[0] ?? null,
      lastSeen: lastSeenMs === undefined ? null : new Date(lastSeenMs).toISOString(),
      roundTripMs: live?.roundTripMs ?? null,
      connectedSince: live === null ? null : new Date(live.sinceMs).toISOString(),
      lastFailure: state === 'revoked' ? null : lastFailure,
    }
  }

  stateOf(peerId: PeerId): DeviceState | null {
    const settled = this.#trust.stateOf(peerId)
    const { connection, pairings, sightedAddresses, lookedFor } = this.#live.get(peerId)
    if (settled !== undefined && settled !== 'active') {
      return settled === 'revoked' ? 'revoked' : 'needs-pairing'
    }
    if (settled !== undefined) {
      if (connection !== null) return 'connected'
      return lookedFor ? 'disconnected' : 'paired'
    }
    if (pairings > 0 || this.#trust.provisional(peerId) !== undefined) return 'pairing'
    return sightedAddresses === null ? null : 'discovered'
  }

  find(reference: string): DeviceInfo {
    return findDevice(reference, this.#describeAll(this.#trust.list().map(({ peerId }) => peerId)))
  }

  rename(peerId: PeerId, name: string): DeviceInfo {
    const record = this.#trust.get(peerId)
    if (record === undefined || record.state === 'revoked') {
      throw new SpacedockError('no-device', `No paired device has the peer id ${peerId}.`)
    }
    const others = this.#trust.list().filter((other) => other.peerId !== peerId && other.state !== 'revoked')
    const chosen = chosenName(
      name,
      others.map((other) => other.name),
    )
    this.#trust.put({ ...record, name: chosen, changedAtMs: this.#clock.wall() })
    return this.#require(peerId)
  }

  markNeedsPairing(peerId: PeerId): boolean {
    const record = this.#trust.get(peerId)
    if (record?.state !== 'active') return false
    const changedAtMs = this.#clock.wall()
    this.#trust.put({ ...record, state: 'needs-pairing', acknowledgement: null, changedAtMs })
    return true
  }

  markRevokedThere(peerId: PeerId, revocationNotice: Uint8Array): void {
    const record = this.#trust.get(peerId)
    if (record?.state !== 'active' && record?.state !== 'needs-pairing') return
    const gone = { state: 'needs-pairing', pairKey: new Uint8Array(), acknowledgement: null } as const
    this.#trust.put({ ...record, ...gone, revocationNotice, changedAtMs: this.#clock.wall() })
    // Kept, they would lead whoever has copied them there to what is written after another pairing.
    if (this.#trust.provisional(peerId) === undefined) unlessDiskFails(() => this.#presence.remove(peerId))
  }

  revoke(peerId: PeerId): DeviceInfo {
    this.#trust.revoke(peerId, () => this.#forget(peerId))
    return this.#require(peerId)
  }

  sighted(peerId: PeerId, addresses: string[]): void {
    deviceIdOf(peerId)
    for (const forgotten of this.#live.sighted(peerId, addresses)) this.#announce(forgotten)
    this.#announce(peerId)
  }

  lost(peerId: PeerId): void {
    this.#live.lost(peerId)
    this.#announce(peerId)
  }

  pairing(peerId: PeerId, running: boolean): void {
    deviceIdOf(peerId)
    this.#live.pairing(peerId, running)
    this.#announce(peerId)
  }

  connected(peerId: PeerId, connection: NewConnection): void {
    deviceIdOf(peerId)
    this.#live.connected(peerId, connection, this.#clock.wall())
    this.#reached(peerId, null)
    this.#announce(peerId)
  }

  reachableAt(peerId: PeerId, address: string): void {
    this.#reached(peerId, address)
  }

  measured(peerId: PeerId, roundTripMs: number): void {
    this.#live.measured(peerId, roundTripMs)
    this.#announce(peerId)
  }

  disconnected(peerId: PeerId, failure: Failure | null = null): void {
    if (this.#live.get(peerId).connection !== null) this.#reached(peerId, null)
    const at = new Date(this.#clock.wall()).toISOString()
    if (failure === null) this.#live.disconnected(peerId, null)
    else {
      const { code, message, hint = null, finding = null } = failure
      this.#live.disconnected(peerId, { at, code, message, hint, finding })
    }
    this.#announce(peerId)
  }

  addressesOf(peerId: PeerId): string[] {
    const sighted = this.#live.get(peerId).sightedAddresses ?? []
    return interleave(this.#contacts.get(peerId)?.addresses ?? [], sighted)
  }

  pairKeysOf(peerId: PeerId): PairKeys {
    const keys: PairKeys = {}
    const settled = this.#trust.get(peerId)
    const provisional = this.#trust.provisional(peerId)
    // An empty key is a key that everybody knows: a device that was revoked, here or there, has none.
    if ((settled?.state === 'active' || settled?.state === 'needs-pairing') && settled.pairKey.length > 0) {
      keys.settled = { key: settled.pairKey, state: settled.state }
    }
    if (
      provisional?.acknowledgement &&
      (provisional.state === 'pending' || provisional.state === 'confirming')
    ) {
      const { pairKey: key, state, acknowledgement } = provisional
      keys.provisional = { key, state, acknowledgement }
    }
    return keys
  }

  onChange(listener: DeviceListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onUpdate(listener: DeviceUpdateListener): () => void {
    this.#updateListeners.add(listener)
    return () => this.#updateListeners.delete(listener)
  }

  #announce(peerId: PeerId): void {
    const device = this.get(peerId)
    if (device === undefined) {
      this.#told.forget(peerId)
      return
    }
    const news = this.#told.news(device, this.#clock.wall())
    if (news === null) return
    if (news.kind === 'state') for (const listener of this.#listeners) listener(news.before, device)
    else for (const listener of this.#updateListeners) listener(news.kind, device)
  }

  #require(peerId: PeerId): DeviceInfo {
    const device = this.get(peerId)
    if (device === undefined)
      throw new SpacedockError('no-device', `No device with the peer id ${peerId} is known.`)
    return device
  }

  #describeAll(peerIds: PeerId[]): DeviceInfo[] {
    return peerIds.map((peerId) => this.get(peerId)).filter((device) => device !== undefined)
  }

  #reached(peerId: PeerId, address: string | null): void {
    // A pairing that is not finished needs to find the other side again, too.
    if (this.#trust.get(peerId)?.state !== 'active' && this.#trust.provisional(peerId) === undefined) return
    unlessDiskFails(() => this.#contacts.reached(peerId, address, this.#clock.wall()))
  }

  /** Forgets what waits for a device, and where it was. */
  #forget(peerId: PeerId): void {
    this.#outbox.dropFor(peerId)
    this.#contacts.remove(peerId)
    this.#presence.remove(peerId)
  }

  /** Forgets a stranger whose pairing ended unfinished: its address is nobody's business. */
  #forgetStranger(peerId: PeerId): void {
    if (this.#trust.get(peerId) !== undefined || this.#trust.provisional(peerId) !== undefined) return
    if (this.#contacts.get(peerId) !== undefined) unlessDiskFails(() => this.#contacts.remove(peerId))
  }

  /** Forgets earlier sightings at a pairing, or a new one: they say nothing about whether the device is there now. */
  #startOver(peerId: PeerId): void {
    const isTrusted = this.#trust.get(peerId)?.state === 'active'
    if (isTrusted && !this.#trusted.has(peerId)) this.#live.startOver(peerId)
    if (isTrusted) this.#trusted.add(peerId)
    else this.#trusted.delete(peerId)
  }
}

function reasonFor(record: TrustRecord | undefined): DeviceInfo['needsPairing'] {
  return record?.revocationNotice === undefined ? 'unknown' : 'revoked'
}

/** Survives a disk that takes nothing, full or read-only, which must not cost the connection too: an address is lost, or one is kept for longer. */
function unlessDiskFails(write: () => void): void {
  try {
    write()
  } catch (error) {
    if (!isDiskFailure(error)) throw error
  }
}
