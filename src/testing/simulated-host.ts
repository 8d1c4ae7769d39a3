import type { Connection, PeerId as Libp2pPeerId, StreamHandler } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../api.ts'
import type { DialOne } from '../network/transport/address-race.ts'
import { isTls, type SessionConnection, type TlsConnection } from '../network/transport/tls-connection.ts'
import type { PairKeys } from '../network/transport/tls-secrets.ts'
import type { DialAttempt } from '../network/reachability/dial-evidence.ts'
import type { Host, ToldPaths } from '../network/host/host.ts'
import { HostTls } from '../network/host/host-tls.ts'
import { isRelayedConnection } from '../network/addresses/relayed-address.ts'
import { relayAddress, SimulatedConnection, type ConnectionHost } from './simulated-connection.ts'
import { directAddress, isOverRelay, listenPort, SimulatedDials } from './simulated-dials.ts'
import { knock, type KnockPlace } from './simulated-knock.ts'
import { SimulatedLibp2p } from './simulated-libp2p.ts'
import type { Attachment, SimulatedNetwork, Way } from './simulated-network.ts'
import { SimulatedSocket } from './simulated-socket.ts'
import { SimulatedTls, type SimulatedTlsOptions } from './simulated-tls.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { libp2pPeer, peerIdOf } from '../libp2p-peer.ts'

export interface SimulatedHostOptions {
  network: SimulatedNetwork<SimulatedHost>
  attachment: Attachment<SimulatedHost>
  peerId: PeerId
  /** Keys of the devices with which it speaks TLS; null when it speaks none. */
  pairKeys: PairKeys | null
  clock: Clock
}

/** libp2p over TCP, and TLS, as on a real network. */
export class SimulatedHost implements Host, ConnectionHost {
  readonly libp2p: SimulatedLibp2p
  readonly tls: HostTls | null
  readonly dht = null
  readonly simultaneousOpen = null
  readonly veil = null
  readonly peerId: PeerId
  readonly attachment: Attachment<SimulatedHost>
  readonly #network: SimulatedNetwork<SimulatedHost>
  readonly #dials: SimulatedDials
  readonly #connectionListeners: ((connection: Connection) => void)[] = []
  readonly #tls: SimulatedTls | null
  readonly #identifiedListeners = new Set<(connection: Connection) => void>()
  /** Addresses at which peers have told that they listen. */
  readonly #told = new Map<PeerId, Multiaddr[]>()
  #isGone = false

  constructor({ network, attachment, peerId, pairKeys, clock }: SimulatedHostOptions) {
    this.libp2p = new SimulatedLibp2p(libp2pPeer(peerId))
    this.peerId = peerId
    this.attachment = attachment
    this.#network = network
    this.#dials = new SimulatedDials(clock, (...dial) => this.#dialOne(...dial))
    attachment.host = this
    const open: SimulatedTlsOptions['open'] = (address, signal) => this.#openSocket(address, signal)
    this.#tls = pairKeys === null ? null : new SimulatedTls({ localPeer: peerId, pairKeys, clock, open })
    this.tls = this.#tls === null ? null : new HostTls(this.#tls.endpoint, this)
  }

  get peer(): Libp2pPeerId {
    return this.libp2p.peerId
  }

  get address(): string {
    return directAddress(this.attachment.ip)
  }

  addresses(): Multiaddr[] {
    return this.listening().map((address) => multiaddr(`${address.toString()}/p2p/${this.peerId}`))
  }

  outerAddresses(): Multiaddr[] {
    return []
  }

  listening(): Multiaddr[] {
    return [this.address, ...(this.#network.hasRelay ? [relayAddress] : [])].map((text) => multiaddr(text))
  }

  listeningPort(): number {
    return listenPort
  }

  async connect(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection> {
    const [open] = this.libp2p.getConnections(libp2pPeer(peerId))
    return open ?? this.dial(peerId, addresses, options)
  }

  dial(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection> {
    return this.dialBy(peerId, addresses, (_address, plain, more) => plain(more), options)
  }

  dialBy<Each extends SessionConnection>(
    peerId: PeerId,
    addresses: readonly (string | Multiaddr)[],
    way: DialOne<Each>,
    options: { signal: AbortSignal },
  ): Promise<Each> {
    return this.#dials.dialBy(peerId, addresses, way, options)
  }

  networkChanged(): void {}

  async dialableAddress(connection: SessionConnection): Promise<Multiaddr | null> {
    const isRelayed = !isTls(connection) && isRelayedConnection(connection)
    if (connection.direction === 'outbound' || isRelayed) return connection.remoteAddr
    return this.#told.get(peerIdOf(connection.remotePeer))?.[0] ?? null
  }

  async toldAddresses(peer: PeerId): Promise<Multiaddr[]> {
    return this.#told.get(peer) ?? []
  }

  /** Protocols that nobody needs to be told: all devices of a simulated network run the same program. */
  toldProtocols(): readonly string[] {
    return [...this.libp2p.handlers.keys()]
  }

  pathsFor({ remoteAddr }: SessionConnection): ToldPaths {
    return { addresses: this.addresses(), observed: remoteAddr }
  }

  heardPaths({ remotePeer }: TlsConnection, { addresses }: ToldPaths): void {
    this.#told.set(peerIdOf(remotePeer), addresses)
  }

  onIdentified(listener: (connection: Connection) => void): () => void {
    this.#identifiedListeners.add(listener)
    return () => void this.#identifiedListeners.delete(listener)
  }

  onDial(listener: (result: Promise<unknown>) => void): void {
    this.#dials.onDial(listener)
  }

  onAttempt(listener: (attempt: DialAttempt) => void): void {
    this.#dials.onAttempt(listener)
  }

  onConnection(listener: (connection: Connection) => void): void {
    this.#connectionListeners.push(listener)
  }

  openStream(
    ...[connection, protocol, { signal }]: Parameters<Host['openStream']>
  ): ReturnType<Host['openStream']> {
    return connection.newStream(protocol, { signal })
  }

  connectionsTo(peer: PeerId): SessionConnection[] {
    return [...this.libp2p.getConnections(libp2pPeer(peer)), ...(this.tls?.connections(peer) ?? [])]
  }

  disconnect(peerId: PeerId): void {
    for (const connection of this.connectionsTo(peerId)) {
      connection.abort(new Error('not paired any more'))
    }
  }

  async stop(): Promise<void> {
    this.#tls?.stop()
    await Promise.all(this.libp2p.getConnections().map((connection) => connection.close()))
    this.#leave()
  }

  /** Kills the process. */
  vanish(): void {
    this.#leave()
    this.#tls?.vanish()
    for (const connection of this.libp2p.connections) connection.vanish()
  }

  handlerOf(protocol: string): StreamHandler | undefined {
    return this.libp2p.handlers.get(protocol)
  }

  closed(connection: SimulatedConnection): void {
    this.libp2p.connections.delete(connection)
  }

  get #place(): KnockPlace<SimulatedHost> {
    return { network: this.#network, attachment: this.attachment, isGone: () => this.#isGone }
  }

  #leave(): void {
    this.#isGone = true
    if (this.attachment.host === this) this.attachment.host = null
  }

  #dialOne(peerId: PeerId, address: string, { signal }: { signal: AbortSignal }): Promise<Connection> {
    const way: Way = isOverRelay(address) ? 'relay' : 'direct'
    const isThere = (attachment: Attachment<SimulatedHost>): boolean =>
      way === 'relay' ? attachment.host?.peerId === peerId : address === directAddress(attachment.ip)
    return knock(
      this.#place,
      { way, isThere, signal },
      (host, opened) => host.peerId === peerId && this.#meet(host, way, signal, opened),
    )
  }

  /** Opens a TCP connection to whoever listens there. */
  #openSocket(address: string, signal: AbortSignal): Promise<SimulatedSocket> {
    const isThere = ({ ip }: Attachment<SimulatedHost>): boolean => address === directAddress(ip)
    return knock(this.#place, { way: 'direct', isThere, signal }, (remote, opened) => {
      const [own, theirs] = [new SimulatedSocket(), new SimulatedSocket()]
      const [here, there] = [this.attachment, remote.attachment]
      own.attach(theirs, { network: this.#network, from: here, to: there })
      theirs.attach(own, { network: this.#network, from: there, to: here })
      this.#tls?.add(own)
      remote.#tls?.add(theirs)
      theirs.established(() => opened(own))
      if (remote.#tls === null) theirs.destroy()
      else remote.#tls.accept(theirs, `/ip4/${here.ip}/tcp/${transientPort}`)
      return true
    })
  }

  /** Opens the other end, since the packet that asks for a connection has arrived; this one opens when the answer is here. */
  #meet(
    remote: SimulatedHost,
    way: Way,
    signal: AbortSignal,
    onOpen: (connection: Connection) => void,
  ): true {
    const id = `${this.attachment.name}-${++this.libp2p.connectionCount}`
    const own = new SimulatedConnection(this, remote, { direction: 'outbound', id, way })
    const theirs = new SimulatedConnection(remote, this, { direction: 'inbound', id: `${id}'`, way })
    own.attach(theirs, this.#network, [this.attachment, remote.attachment])
    theirs.attach(own, this.#network, [remote.attachment, this.attachment])
    remote.#opened(theirs)
    theirs.tell(() => {
      if (this.#isGone) return own.vanish()
      if (signal.aborted) return own.abort(new Error('not wanted any more'))
      this.#opened(own)
      return onOpen(own)
    })
    // Both say where they listen, as identify does.
    const here = this.addresses()
    const there = remote.addresses()
    theirs.tell(() => this.#identified(own, there))
    own.tell(() => remote.#identified(theirs, here))
    return true
  }

  #opened(connection: SimulatedConnection): void {
    const isFirst = this.libp2p.getConnections(connection.remotePeer).length === 0
    this.libp2p.connections.add(connection)
    if (isFirst) this.libp2p.safeDispatchEvent('peer:connect', { detail: connection.remotePeer })
    for (const listener of this.#connectionListeners) listener(connection)
  }

  #identified(connection: SimulatedConnection, addresses: Multiaddr[]): void {
    if (this.#isGone) return
    this.#told.set(peerIdOf(connection.remotePeer), addresses)
    for (const listener of this.#identifiedListeners) listener(connection)
  }
}

const transientPort = 50_000
