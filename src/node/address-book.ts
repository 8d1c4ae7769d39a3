import type { Host } from '../network/host/host.ts'
import type { SessionConnection } from '../network/transport/tls-connection.ts'
import type { AddressBook } from '../network/supervisor/peer-parts.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdOf } from '../libp2p-peer.ts'
import type { DeviceRegistry } from '../store/device-registry.ts'
import { interleave } from '../store/interleave.ts'
import type { TrustedPeers } from './trusted-peers.ts'

/** Addresses of devices: where they were last, where they are seen, and where they say that they are. */
export class KnownAddresses implements AddressBook {
  readonly #registry: DeviceRegistry
  readonly #host: Host
  readonly #trusted: TrustedPeers
  #isClosed = false

  constructor(registry: DeviceRegistry, host: Host, trusted: TrustedPeers) {
    this.#registry = registry
    this.#host = host
    this.#trusted = trusted
  }

  /** Returns all of them by turns, so that no way waits for another. */
  addressesOf(peer: PeerId, published: readonly string[]): string[] {
    return interleave(this.#registry.addressesOf(peer), published)
  }

  /**
   * Remembers the address of a device, so that it is found again even when the first connection breaks before it has carried a
   * session.
   */
  async remember(connection: SessionConnection): Promise<void> {
    const peer = peerIdOf(connection.remotePeer)
    if (this.#trusted.keysOf(peer).length === 0) return
    const address = await this.#host.dialableAddress(connection)
    if (address !== null && !this.#isClosed) this.#registry.reachableAt(peer, address.toString())
  }

  /** Remembers nothing any more. */
  close(): void {
    this.#isClosed = true
  }
}
