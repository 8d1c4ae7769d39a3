import type { DeviceInfo } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { MessageDevices } from '../protocols/messaging-components.ts'
import { deviceIdOf } from '../store/device-id.ts'
import type { Store } from '../store/store.ts'
import type { Lifetime } from './lifetime.ts'

/** Devices as they are recorded: what is known of each, and whether it is paired. */
export class DeviceRecords implements MessageDevices {
  readonly #store: Pick<Store, 'trust' | 'registry'>
  readonly #lifetime: Lifetime

  constructor(store: Pick<Store, 'trust' | 'registry'>, lifetime: Lifetime) {
    this.#store = store
    this.#lifetime = lifetime
  }

  /** Describes the device; one of which nothing is known any more was revoked. */
  describe(peer: PeerId): DeviceInfo {
    const id = deviceIdOf(peer)
    const gone: DeviceInfo = {
      id,
      name: id,
      peerId: peer,
      state: 'revoked',
      needsPairing: null,
      path: null,
      limited: false,
      address: null,
      lastSeen: null,
      roundTripMs: null,
      connectedSince: null,
      lastFailure: null,
    }
    return this.#store.registry.get(peer) ?? gone
  }

  nameOf(peer: PeerId): { id: string; name: string } {
    const id = deviceIdOf(peer)
    const { trust } = this.#store
    return { id, name: (trust.get(peer) ?? trust.provisional(peer))?.name ?? id }
  }

  isTrusted(peer: PeerId): boolean {
    return this.#store.trust.stateOf(peer) === 'active'
  }

  trustedPeers(): PeerId[] {
    const active = this.#store.trust.list().filter(({ state }) => state === 'active')
    return active.map(({ peerId }) => peerId)
  }

  /** Throws `not-paired`, or `closed`. */
  requirePaired(peer: PeerId): void {
    this.#lifetime.requireOpen()
    if (!this.isTrusted(peer)) throw this.notPaired(peer)
  }

  /** Returns the error that says why the device is not paired, or not any more. */
  notPaired(peer: PeerId): SpacedockError {
    const { name, needsPairing } = this.describe(peer)
    const why =
      needsPairing === 'revoked'
        ? `The device "${name}" has ended the pairing.`
        : needsPairing === 'unknown'
          ? `The device "${name}" does not know this one any more.`
          : `The device "${name}" is not paired with this one any more.`
    return new SpacedockError('not-paired', why, {
      hint: 'Pair the two devices again.',
    })
  }
}
