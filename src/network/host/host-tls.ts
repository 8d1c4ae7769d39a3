import type { Multiaddr } from '@multiformats/multiaddr'
import type { PeerId } from '../../pairing/peer-id.ts'
import type { TlsPaths } from '../supervisor/device-paths.ts'
import type { PlainDial } from '../transport/address-race.ts'
import type { SessionConnection, TlsConnection } from '../transport/tls-connection.ts'
import { canSpeakTls } from '../transport/tls-handshake.ts'
import type { TlsEndpoint } from '../transport/tls-endpoint.ts'
import type { HostDials } from './host-dials.ts'

/** TLS of a host: dials to all addresses of a device, and the connections that there are. */
export class HostTls implements TlsPaths {
  readonly #endpoint: TlsEndpoint
  readonly #dials: Pick<HostDials, 'dialBy'>

  constructor(endpoint: TlsEndpoint, dials: Pick<HostDials, 'dialBy'>) {
    this.#endpoint = endpoint
    this.#dials = dials
  }

  mayTry(peer: PeerId): Promise<boolean> {
    return this.#endpoint.dialer.mayTry(peer)
  }

  /** Whether this platform can. */
  isSpoken(): Promise<boolean> {
    return canSpeakTls()
  }

  /** Notes that this device says that it can. */
  speaks(peer: PeerId): void {
    this.#endpoint.dialer.speaks(peer)
  }

  dial(
    peer: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<SessionConnection> {
    return this.#dials.dialBy<SessionConnection>(
      peer,
      addresses,
      (address, plain, more) => this.#endpoint.dial(peer, address, plain, more),
      options,
    )
  }

  dialBeside(
    peer: PeerId,
    address: Multiaddr,
    plain: PlainDial,
    options: { signal: AbortSignal },
  ): Promise<SessionConnection> {
    return this.#endpoint.dial(peer, address, plain, options)
  }

  comes(peer: PeerId, options: { timeoutMs: number; signal: AbortSignal }): Promise<boolean> {
    return this.#endpoint.comes(peer, options)
  }

  /** Open connections, to this device or to all. */
  connections(peer?: PeerId): TlsConnection[] {
    return this.#endpoint.connections(peer)
  }

  /** Calls back with every connection that a device opens, on which its session comes. There is one listener. */
  onInbound(listener: (connection: TlsConnection) => void): void {
    this.#endpoint.onInbound(listener)
  }

  /** Calls back with every connection, in either direction. */
  onOpened(listener: (connection: TlsConnection) => void): void {
    this.#endpoint.onOpened(listener)
  }
}
