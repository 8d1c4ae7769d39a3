import type { DeviceInfo, DeviceState, ReachabilityFinding } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { Contacts } from './contacts.ts'
import { deviceIdOf } from './device-id.ts'
import { chosenName } from './device-names.ts'
import { findDevice } from './device-search.ts'
import type { Outbox } from './outbox.ts'
import { interleave } from './interleave.ts'
import { liveStates, type NewConnection } from './live-state.ts'
import { ChangeFilter } from './change-filter.ts'
import type { TrustRecord } from './trust-record.ts'
import type { Trust, WallClock } from './trust.ts'
import type { PeerId } from '../pairing/peer-id.ts'

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
  sighted(peerId: PeerId, addresses: string[]): void
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

export interface RegistryParts {
  trust: Trust
  contacts: Contacts
  outbox: Outbox
  clock: WallClock
}

export function openRegistry({ trust, contacts, outbox, clock }: RegistryParts): DeviceRegistry {
  const presence = liveStates((peerId) => trust.get(peerId) !== undefined)
  const listeners = new Set<DeviceListener>()
  const updateListeners = new Set<DeviceUpdateListener>()
  const told = new ChangeFilter()
  const active = trust.list().filter(({ state }) => state === 'active')
  const trusted = new Set(active.map(({ peerId }) => peerId))

  function stateOf(peerId: PeerId): DeviceState | null {
    const settled = trust.get(peerId)
    const { connection, pairings, sightedAddresses, lookedFor } = presence.get(peerId)
    if (settled !== undefined && settled.state !== 'active') {
      return settled.state === 'revoked' ? 'revoked' : 'needs-pairing'
    }
    if (settled !== undefined) {
      if (connection !== null) return 'connected'
      return lookedFor ? 'disconnected' : 'paired'
    }
    if (pairings > 0 || trust.provisional(peerId) !== undefined) return 'pairing'
    return sightedAddresses === null ? null : 'discovered'
  }

  function describe(peerId: PeerId): DeviceInfo | undefined {
    const state = stateOf(peerId)
    if (state === null) return undefined
    const id = deviceIdOf(peerId)
    const record = trust.get(peerId) ?? trust.provisional(peerId)
    const { connection, sightedAddresses, lastFailure } = presence.get(peerId)
    const contact = contacts.get(peerId)
    const live = state === 'connected' ? connection : null
    const lastSeenMs = live === null ? contact?.lastSeenMs : clock.wall()
    return {
      id,
      name: record?.name ?? id,
      peerId,
      state,
      needsPairing: state === 'needs-pairing' ? reasonFor(trust.get(peerId)) : null,
      path: live?.path ?? null,
      limited: live?.limited ?? false,
      address: live?.address ?? contact?.addresses[0] ?? sightedAddresses?.[0] ?? null,
      lastSeen: lastSeenMs === undefined ? null : new Date(lastSeenMs).toISOString(),
      roundTripMs: live?.roundTripMs ?? null,
      connectedSince: live === null ? null : new Date(live.sinceMs).toISOString(),
      lastFailure: state === 'revoked' ? null : lastFailure,
    }
  }

  function announce(peerId: PeerId): void {
    const device = describe(peerId)
    if (device === undefined) {
      told.forget(peerId)
      return
    }
    const news = told.news(device, clock.wall())
    if (news === null) return
    if (news.kind === 'state') for (const listener of listeners) listener(news.before, device)
    else for (const listener of updateListeners) listener(news.kind, device)
  }

  function requireDevice(peerId: PeerId): DeviceInfo {
    const device = describe(peerId)
    if (device === undefined)
      throw new SpacedockError('no-device', `No device with the peer id ${peerId} is known.`)
    return device
  }

  function reached(peerId: PeerId, address: string | null): void {
    // A pairing that is not finished needs to find the other side again, too.
    if (trust.get(peerId)?.state !== 'active' && trust.provisional(peerId) === undefined) return
    unlessDiskIsFull(() => contacts.reached(peerId, address, clock.wall()))
  }

  /** Forgets a stranger whose pairing ended unfinished: its address is nobody's business. */
  function forgetStranger(peerId: PeerId): void {
    if (trust.get(peerId) !== undefined || trust.provisional(peerId) !== undefined) return
    if (contacts.get(peerId) !== undefined) unlessDiskIsFull(() => contacts.remove(peerId))
  }

  const settledDevices = (): DeviceInfo[] => describeAll(trust.list().map(({ peerId }) => peerId))
  const describeAll = (peerIds: PeerId[]): DeviceInfo[] =>
    peerIds.map(describe).filter((device) => device !== undefined)

  /** Forgets earlier sightings at a pairing, or a new one: they say nothing about whether the device is there now. */
  function startOver(peerId: PeerId): void {
    const isTrusted = trust.get(peerId)?.state === 'active'
    if (isTrusted && !trusted.has(peerId)) presence.startOver(peerId)
    if (isTrusted) trusted.add(peerId)
    else trusted.delete(peerId)
  }

  for (const { peerId } of [...trust.list(), ...trust.provisionals()]) announce(peerId)
  trust.onChange(startOver)
  trust.onChange(announce)
  trust.onChange(forgetStranger)

  return {
    list() {
      const known = [...trust.list(), ...trust.provisionals()].map(({ peerId }) => peerId)
      return describeAll([...new Set([...known, ...presence.peerIds()])])
    },
    get: (peerId) => describe(peerId),
    find: (reference) => findDevice(reference, settledDevices()),
    rename(peerId, name) {
      const record = trust.get(peerId)
      if (record === undefined || record.state === 'revoked') {
        throw new SpacedockError('no-device', `No paired device has the peer id ${peerId}.`)
      }
      const others = trust.list().filter((other) => other.peerId !== peerId && other.state !== 'revoked')
      const chosen = chosenName(
        name,
        others.map((other) => other.name),
      )
      trust.put({ ...record, name: chosen, changedAtMs: clock.wall() })
      return requireDevice(peerId)
    },
    markNeedsPairing(peerId) {
      const record = trust.get(peerId)
      if (record?.state !== 'active') return false
      trust.put({ ...record, state: 'needs-pairing', acknowledgement: null, changedAtMs: clock.wall() })
      return true
    },
    markRevokedThere(peerId, revocationNotice) {
      const record = trust.get(peerId)
      if (record?.state !== 'active' && record?.state !== 'needs-pairing') return
      const gone = { state: 'needs-pairing', pairKey: new Uint8Array(), acknowledgement: null } as const
      trust.put({ ...record, ...gone, revocationNotice, changedAtMs: clock.wall() })
    },
    revoke(peerId) {
      trust.revoke(peerId, () => {
        outbox.dropFor(peerId)
        contacts.remove(peerId)
      })
      return requireDevice(peerId)
    },
    sighted(peerId, addresses) {
      deviceIdOf(peerId)
      for (const forgotten of presence.sighted(peerId, addresses)) announce(forgotten)
      announce(peerId)
    },
    lost(peerId) {
      presence.lost(peerId)
      announce(peerId)
    },
    pairing(peerId, running) {
      deviceIdOf(peerId)
      presence.pairing(peerId, running)
      announce(peerId)
    },
    connected(peerId, connection) {
      deviceIdOf(peerId)
      presence.connected(peerId, connection, clock.wall())
      reached(peerId, null)
      announce(peerId)
    },
    reachableAt: reached,
    measured(peerId, roundTripMs) {
      presence.measured(peerId, roundTripMs)
      announce(peerId)
    },
    disconnected(peerId, failure = null) {
      if (presence.get(peerId).connection !== null) reached(peerId, null)
      const at = new Date(clock.wall()).toISOString()
      if (failure === null) presence.disconnected(peerId, null)
      else {
        const { code, message, hint = null, finding = null } = failure
        presence.disconnected(peerId, { at, code, message, hint, finding })
      }
      announce(peerId)
    },
    addressesOf(peerId) {
      return interleave(contacts.get(peerId)?.addresses ?? [], presence.get(peerId).sightedAddresses ?? [])
    },
    pairKeysOf(peerId) {
      const keys: PairKeys = {}
      const settled = trust.get(peerId)
      const provisional = trust.provisional(peerId)
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
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onUpdate(listener) {
      updateListeners.add(listener)
      return () => updateListeners.delete(listener)
    },
  }
}

function reasonFor(record: TrustRecord | undefined): DeviceInfo['needsPairing'] {
  return record?.revocationNotice === undefined ? 'unknown' : 'revoked'
}

/** Survives a full disk, which must not cost the connection too: only the device's last address is lost. */
function unlessDiskIsFull(write: () => void): void {
  try {
    write()
  } catch (error) {
    if (!(error instanceof SpacedockError && error.code === 'disk-full')) throw error
  }
}
