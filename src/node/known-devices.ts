import { peerOf } from '../libp2p-peer.ts'
import type { ServedDevices } from '../network/application/application-protocols.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { PubSubDevices } from '../protocols/pub-sub.ts'
import { KnownDevice, type DeviceParts } from './device.ts'

/** The devices of a node, one object each. */
export class KnownDevices implements ServedDevices, PubSubDevices {
  readonly #parts: DeviceParts
  readonly #devices = new Map<PeerId, KnownDevice>()

  constructor(parts: DeviceParts) {
    this.#parts = parts
  }

  /** Paired, needs-pairing and revoked devices. */
  list(): KnownDevice[] {
    return this.#parts.store.trust.list().map(({ peerId }) => this.of(peerId))
  }

  /** Errors: `no-device`, `ambiguous-device`. */
  find(reference: string): KnownDevice {
    return this.of(peerOf(this.#parts.store.registry.find(reference)))
  }

  /** Returns the trusted devices. */
  paired(): KnownDevice[] {
    return this.#parts.records.trustedPeers().map((peer) => this.of(peer))
  }

  /** Undefined for a peer that is not trusted. */
  trusted(peer: PeerId): KnownDevice | undefined {
    return this.#parts.records.isTrusted(peer) ? this.of(peer) : undefined
  }

  of(peer: PeerId): KnownDevice {
    const known = this.#devices.get(peer)
    if (known !== undefined) return known
    const device = new KnownDevice(peer, this.#parts)
    this.#devices.set(peer, device)
    return device
  }
}
