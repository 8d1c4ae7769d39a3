import type { DeviceInfo, DeviceState } from '../api.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** News about a device. `before` is null for a device that was not known. */
export type DeviceNews =
  { kind: 'state'; before: DeviceState | null } | { kind: 'path' } | { kind: 'details' }

/** Remembers what was told about each device last, so that nothing is told twice. */
export class ChangeFilter {
  readonly #told = new Map<string, { device: DeviceInfo; roundTripAtMs: number }>()

  /** Returns what is new; from then on it counts as told. */
  news(device: DeviceInfo, nowMs: number): DeviceNews | null {
    const told = this.#told.get(device.peerId)
    const news = newsSince(told?.device, device, nowMs - (told?.roundTripAtMs ?? Number.NEGATIVE_INFINITY))
    if (news === null) return null
    this.#told.set(device.peerId, {
      device,
      roundTripAtMs: device.roundTripMs === null ? Number.NEGATIVE_INFINITY : nowMs,
    })
    return news
  }

  forget(peerId: PeerId): void {
    this.#told.delete(peerId)
  }
}

function newsSince(told: DeviceInfo | undefined, device: DeviceInfo, agoMs: number): DeviceNews | null {
  if (told === undefined || device.state !== told.state) {
    return { kind: 'state', before: told?.state ?? null }
  }
  if (device.path !== told.path) return { kind: 'path' }
  const isNew =
    device.state === 'connected'
      ? device.address !== told.address || hasOtherRoundTrip(told.roundTripMs, device.roundTripMs, agoMs)
      : device.lastFailure?.message !== told.lastFailure?.message || device.needsPairing !== told.needsPairing
  return isNew ? { kind: 'details' } : null
}

/** Whether the round trip is news: the first one, and later a change that a person would notice, now and then. */
function hasOtherRoundTrip(told: number | null, now: number | null, agoMs: number): boolean {
  if (now === null) return false
  if (told === null) return true
  const isNoticed = Math.max(told, now) >= 2 * Math.min(told, now) && Math.abs(told - now) >= noticedMs
  return isNoticed && agoMs >= roundTripIntervalMs
}

const noticedMs = 10
const roundTripIntervalMs = 30_000
