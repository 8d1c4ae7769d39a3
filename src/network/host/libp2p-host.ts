import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { PeerId } from '../../pairing/peer-id.ts'
import { libp2pPeer, peerIdOf } from '../../libp2p-peer.ts'
import type { LearntAddresses } from '../addresses/learnt-addresses.ts'
import { linkLocalAddresses } from '../addresses/link-local-addresses.ts'
import { classOfAddress } from '../addresses/address-class.ts'
import { addressesFor } from '../addresses/told-addresses.ts'
import { isUsableElsewhere, usableElsewhere } from '../addresses/own-addresses.ts'
import { usableInterfaces } from '../interfaces.ts'
import { isRelayed, isRelayedConnection } from '../addresses/relayed-address.ts'
import type { DhtClient } from '../dht/dht-client.ts'
import type { Veil } from '../public/veil.ts'
import type { DialAttempt } from '../reachability/dial-evidence.ts'
import type { SimultaneousOpen } from '../relay/simultaneous-open.ts'
import { maxToldAddresses, type NetworkHost, type ToldPaths } from './host.ts'
import { HostDials } from './host-dials.ts'
import type { HostTransports } from './host-transports.ts'
import { HostTls } from './host-tls.ts'
import { IdentifiedPeers } from './identified-peers.ts'
import type { SessionConnection, TlsConnection } from '../transport/tls-connection.ts'
import type { TlsEndpoint } from '../transport/tls-endpoint.ts'

export interface HostParts {
  /** Listen addresses, wildcards unresolved. */
  listen: readonly string[]
  ways: HostTransports
  learnt: LearntAddresses | null
  dht: DhtClient | null
  tls: TlsEndpoint | null
}

/** Host over a running libp2p node. */
export class Libp2pHost implements NetworkHost {
  readonly libp2p: Libp2p
  readonly dht: DhtClient | null
  readonly tls: HostTls | null
  readonly peerId: PeerId
  readonly simultaneousOpen: SimultaneousOpen | null
  readonly veil: Veil | null
  readonly #listening: readonly Multiaddr[]
  readonly #ways: HostTransports
  readonly #learnt: LearntAddresses | null
  readonly #dials: HostDials
  readonly #identified: IdentifiedPeers

  constructor(libp2p: Libp2p, { listen, ways, learnt, dht, tls }: HostParts) {
    this.libp2p = libp2p
    this.dht = dht
    this.peerId = peerIdOf(libp2p.peerId)
    this.simultaneousOpen = ways.simultaneousOpen
    this.veil = ways.veil
    this.#listening = listen.map((address) => multiaddr(address))
    this.#ways = ways
    this.#learnt = learnt
    this.#dials = new HostDials(ways.dialer)
    this.tls = tls === null ? null : new HostTls(tls, this.#dials)
    this.#identified = new IdentifiedPeers(libp2p)
  }

  addresses(): Multiaddr[] {
    const own = this.libp2p.getMultiaddrs()
    if (own.some(isUsableElsewhere)) return usableElsewhere(own)
    const onLink = linkLocalAddresses(this.#listening, usableInterfaces())
    return onLink.length > 0 ? onLink.map((address) => address.encapsulate(`/p2p/${this.peerId}`)) : own
  }

  outerAddresses(): Multiaddr[] {
    return this.#ways.outerAddresses()
  }

  listening(): Multiaddr[] {
    return [...this.#listening]
  }

  listeningPort(): number | null {
    return portOf(this.#listening) ?? portOf(this.libp2p.getMultiaddrs())
  }

  async connect(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection> {
    const [open] = this.libp2p
      .getConnections(libp2pPeer(peerId))
      .filter((connection) => connection.status === 'open')
      .sort((one, other) => Number(isRelayedConnection(one)) - Number(isRelayedConnection(other)))
    return open ?? this.dial(peerId, addresses, options)
  }

  dial(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection> {
    return this.#dials.dial(peerId, addresses, options)
  }

  connectionsTo(peer: PeerId): SessionConnection[] {
    return [...this.libp2p.getConnections(libp2pPeer(peer)), ...(this.tls?.connections(peer) ?? [])]
  }

  networkChanged(): void {
    this.#ways.relays?.networkChanged()
    this.#learnt?.networkChanged()
  }

  dialableAddress(connection: SessionConnection): Promise<Multiaddr | null> {
    return this.#identified.dialableAddress(connection)
  }

  toldAddresses(peer: PeerId): Promise<Multiaddr[]> {
    return this.#identified.addressesOf(peer)
  }

  toldProtocols(peer: PeerId): readonly string[] {
    return this.#identified.protocolsOf(peer)
  }

  pathsFor(connection: SessionConnection): ToldPaths {
    const seenAt = classOfAddress(connection.remoteAddr)
    const told = addressesFor(this.libp2p.getMultiaddrs(), seenAt === 'loopback' ? seenAt : 'link-local')
    return { addresses: told.slice(0, maxToldAddresses), observed: connection.remoteAddr }
  }

  heardPaths(connection: TlsConnection, { addresses, observed }: ToldPaths): void {
    this.#identified.toldOver(connection, addresses)
    if (observed !== null) this.#learnt?.observed(connection, observed)
  }

  onIdentified(listener: (connection: Connection) => void): () => void {
    return this.#identified.onIdentified(listener)
  }

  onDial(listener: (result: Promise<unknown>) => void): void {
    this.#dials.onDial(listener)
  }

  onAttempt(listener: (attempt: DialAttempt) => void): void {
    this.#dials.onAttempt(listener)
  }

  onConnection(listener: (connection: Connection) => void): void {
    this.libp2p.addEventListener('connection:open', ({ detail }) => listener(detail))
  }

  openStream(connection: Connection, protocol: string, { signal }: { signal: AbortSignal }): Promise<Stream> {
    return connection.newStream(protocol, { signal, runOnLimitedConnection: true })
  }

  disconnect(peerId: PeerId): void {
    // abort() drops the socket at once; close() would wait for the other side.
    for (const connection of this.connectionsTo(peerId)) connection.abort(new Error('not paired any more'))
  }

  async stop(): Promise<void> {
    await Promise.all([this.#learnt?.stop(), this.libp2p.stop()])
  }
}

function portOf(addresses: readonly Multiaddr[]): number | null {
  const direct = addresses.filter((address) => !isRelayed(address))
  const ports = direct.map((address) =>
    Number(address.getComponents().find(({ name }) => name === 'tcp')?.value),
  )
  return ports.find((port) => port > 0) ?? null
}
