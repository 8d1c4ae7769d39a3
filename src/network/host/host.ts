import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { SessionConnection, TlsConnection } from '../transport/tls-connection.ts'
import type { HostTls } from './host-tls.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import type { DhtClient } from '../dht/dht-client.ts'
import type { Veil } from '../public/veil.ts'
import type { DialAttempt } from '../reachability/dial-evidence.ts'
import type { SimultaneousOpen } from '../relay/simultaneous-open.ts'

/** Transport (TCP), encryption (Noise), multiplexing (Yamux) and identify: one libp2p node under one identity; beside it TLS. */
export interface Host {
  readonly libp2p: HostLibp2p
  /** DHT client; null when the host was made without one. */
  readonly dht: DhtClient | null
  /** TLS with paired devices, beside libp2p and at the same port; null when the host has none. */
  readonly tls: HostTls | null
  /** Peer id, base58btc. */
  readonly peerId: PeerId
  /** Dialable addresses of this host, the best first, each ending in /p2p/PEERID. */
  addresses(): Multiaddr[]
  /**
   * Addresses of this host as seen from outside when it dials from the port that it keeps for that, where a NAT preserves the
   * port number: for records. `dial` with another host's outer address uses that port by itself.
   */
  outerAddresses(): Multiaddr[]
  /** Listen addresses, wildcards unresolved. */
  listening(): Multiaddr[]
  /** TCP port on which this host listens; null for none. */
  listeningPort(): number | null
  /** Returns the open connection to this peer, or a new one; Noise has proved its identity. */
  connect(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection>
  /** Opens a new connection to this peer, also when there is one already. Direct addresses are tried first. */
  dial(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection>
  /** Connections to this peer, whatever their status, of TLS, too. */
  connectionsTo(peer: PeerId): SessionConnection[]
  /** Tells the host that its addresses have changed. */
  networkChanged(): void
  /** Simultaneous open; null when the host uses no relays. */
  readonly simultaneousOpen: SimultaneousOpen | null
  /** Veil; null when the host uses no relays of the public network. */
  readonly veil: Veil | null
  /** Resolves with an address where the peer of this connection can be dialled again; null while none is known. */
  dialableAddress(connection: SessionConnection): Promise<Multiaddr | null>
  /** Listen addresses that a peer has told by identify. */
  toldAddresses(peer: PeerId): Promise<Multiaddr[]>
  /** Protocols that a connected peer has told by identify; none before that. */
  toldProtocols(peer: PeerId): readonly string[]
  /** Returns what a paired device is told over this connection, as identify does on those of libp2p. */
  pathsFor(connection: SessionConnection): ToldPaths
  /** Takes what a device has told over this connection. */
  heardPaths(connection: TlsConnection, told: ToldPaths): void
  /** Calls back when a peer was identified; the function returned stops it. */
  onIdentified(listener: (connection: Connection) => void): () => void
  /** Calls back when a device is dialled, at all of its addresses together, with the result. */
  onDial(listener: (result: Promise<unknown>) => void): void
  /** Calls back at the beginning of each dial to one address. */
  onAttempt(listener: (attempt: DialAttempt) => void): void
  /** Calls back when a connection of libp2p is open, in either direction. */
  onConnection(listener: (connection: Connection) => void): void
  openStream(connection: Connection, protocol: string, options: { signal: AbortSignal }): Promise<Stream>
  /** Closes every connection to this peer, whatever runs over it. */
  disconnect(peerId: PeerId): void
  stop(): Promise<void>
}

/** What one end of a connection tells the other of where it is. */
export interface ToldPaths {
  /** Own addresses, the best first; 16 at most. */
  addresses: Multiaddr[]
  /** Address of the other end as this one sees it; null when it cannot be read. */
  observed: Multiaddr | null
}

/** Most addresses that one end tells the other. */
export const maxToldAddresses = 16

/** Part of libp2p that others use. */
export type HostLibp2p = Pick<
  Libp2p,
  | 'peerId'
  | 'dial'
  | 'getConnections'
  | 'getPeers'
  | 'handle'
  | 'unhandle'
  | 'addEventListener'
  | 'removeEventListener'
>

/** A host on a real network. */
export interface NetworkHost extends Host {
  readonly libp2p: Libp2p
}
