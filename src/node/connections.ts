import type { Connection, Stream } from '@libp2p/interface'
import type { ConnectionPath, Log } from '../api.ts'
import type { StreamProtocol } from '../network/application/protocol-registry.ts'
import type { PresenceKeySource } from '../network/discovery/peer-presence.ts'
import type { LocalDiscovery, LocalListener } from '../network/discovery/local-network.ts'
import type { Host } from '../network/host/host.ts'
import type { DialEvidence } from '../network/reachability/dial-evidence.ts'
import { SessionEndpoint } from '../network/session/session-endpoint.ts'
import { refuseDevice } from '../network/session/session-handshake.ts'
import { sessionProtocol, type Session, type SessionOptions } from '../network/session/session.ts'
import { isTls, type SessionConnection, type TlsConnection } from '../network/transport/tls-connection.ts'
import { DevicePaths } from '../network/supervisor/device-paths.ts'
import { ConnectionSupervisor } from '../network/supervisor/connection-supervisor.ts'
import { SpacedockError } from '../errors.ts'
import { OtherVersionError } from '../other-version.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdOf } from '../libp2p-peer.ts'
import type { PairingConnections } from '../protocols/pairing-components.ts'
import type { Copies } from '../protocols/copies.ts'
import type { Store } from '../store/store.ts'
import { KnownAddresses } from './address-book.ts'
import { ConnectionRecorder, pathOf } from './connection-recorder.ts'
import { Firewalled } from './firewalled.ts'
import type { Internet } from './internet.ts'
import type { OpenInternet } from './internet-settings.ts'
import type { NodeCounters } from './node-counters.ts'
import { fraction, type Platform } from './platform.ts'
import type { TrustedPeers } from './trusted-peers.ts'

export interface ConnectionsParts {
  store: Store
  host: Host
  trusted: TrustedPeers
  metrics: NodeCounters
  copies: Pick<Copies, 'announcedElsewhere'>
  platform: Platform
  log: Log
  interfaces: string[] | undefined
  /** Whether to be found, and to find others, on the local network. */
  mdns: boolean
  /** Results of dials, and the devices heard on the local network. */
  evidence: DialEvidence
  /** Null when nothing but the local network is used. */
  openInternet: OpenInternet | null
  presenceKeys: PresenceKeySource
  /** Start of every session, and the handling of what comes over it. */
  session: Pick<SessionOptions, 'instance' | 'trust' | 'calls'>
}

/** Keeps every paired device connected, by all the ways there are: makes the parts that do, and joins them. */
export class Connections implements PairingConnections, LocalListener {
  readonly supervisor: ConnectionSupervisor
  /** Null when multicast DNS is switched off. */
  readonly localNetwork: LocalDiscovery | null
  readonly internet: Internet | null
  readonly #parts: ConnectionsParts
  readonly #sessions: SessionEndpoint
  readonly #book: KnownAddresses
  readonly #stopListening: (() => void)[] = []
  readonly #stopping = new AbortController()

  constructor(parts: ConnectionsParts) {
    this.#parts = parts
    const { store, host, trusted, metrics, platform, log, interfaces, mdns, evidence } = parts
    const { presenceKeys, openInternet } = parts
    const { registry } = store
    const { clock, random } = platform
    const book = new KnownAddresses(registry, host, trusted)
    this.#book = book
    this.#sessions = new SessionEndpoint({
      ...parts.session,
      localPeer: host.peerId,
      onRoundTrip: (connection, roundTripMs) => this.#measured(connection, roundTripMs),
      countBytes: metrics.passed,
      random,
      clock,
      log,
    })
    const supervisor = new ConnectionSupervisor({
      host: new DevicePaths(host, clock),
      trusted,
      book,
      opener: this.#sessions,
      random: () => fraction(random),
      clock,
      log,
    })
    this.supervisor = supervisor
    this.localNetwork = mdns ? platform.localNetwork(this, { host, interfaces, log }) : null
    this.internet = openInternet?.({ supervisor, host, interfaces, presenceKeys, clock, log }) ?? null
    const firewalled = new Firewalled({ evidence, registry, host, localNetwork: this.localNetwork, clock })
    supervisor.listen(new ConnectionRecorder({ registry, host, book, firewalled, metrics, log }))
    supervisor.listen({ woke: () => this.#lookAnew() })
  }

  async start(): Promise<void> {
    const { host, store, metrics, platform, evidence } = this.#parts
    host.onConnection((connection) => {
      metrics.connectionOpened(pathOf(connection))
      this.supervisor.connectionOpened(connection)
    })
    host.onDial((result) => metrics.dialled(result))
    host.onAttempt((attempt) => evidence.dialling(attempt))
    host.onIdentified((connection) => void this.#book.remember(connection))
    this.#stopListening.push(
      store.trust.onChange((peer) => this.#trustChanged(peer)),
      platform.watchNetwork(() => this.#networkChanged()),
    )
    // First of all: the supervisor turns nobody away who comes in while the others start.
    this.supervisor.start()
    host.tls?.onOpened((connection) => metrics.connectionOpened(pathOf(connection)))
    host.tls?.onInbound((connection) => void this.#acceptTls(connection))
    await this.localNetwork?.start()
    this.internet?.start()
  }

  async stop(): Promise<void> {
    this.#book.close()
    this.#stopping.abort(new SpacedockError('closed', 'This device is shutting down.'))
    for (const stop of this.#stopListening) stop()
    await this.supervisor.stop()
    await Promise.allSettled([this.localNetwork?.stop(), this.internet?.stop()])
  }

  sessionOf(peer: PeerId): Session | undefined {
    return this.supervisor.sessionOf(peer)
  }

  connectNow(peer: PeerId): void {
    this.supervisor.connectNow(peer)
  }

  deviceSighted(peer: PeerId, addresses: readonly string[]): void {
    const { evidence, store } = this.#parts
    evidence.heard(peer)
    store.registry.sighted(peer, addresses)
    this.supervisor.sighting(peer)
  }

  ownPeerAnnounced(address: string): void {
    this.#parts.copies.announcedElsewhere(address)
  }

  deviceLost(peer: PeerId): void {
    const { evidence, store } = this.#parts
    evidence.lost(peer)
    store.registry.lost(peer)
  }

  release(peer: PeerId): void {
    const { trusted, host } = this.#parts
    if (trusted.keysOf(peer).length === 0) host.disconnect(peer)
  }

  /** Session protocol, which the registry serves: the other device opens a session. */
  get protocol(): StreamProtocol {
    const { trusted, platform } = this.#parts
    return {
      protocol: sessionProtocol,
      access: 'paired',
      refuse: (stream, { remotePeer }) =>
        refuseDevice(stream, trusted.noticeTo(peerIdOf(remotePeer)), platform.clock),
      handle: (stream, connection, { signal }) => this.#accept(stream, connection, signal),
    }
  }

  /** Returns addresses where a device was last, where it is seen, and where it says that it is. */
  addressesOf(peer: PeerId): string[] {
    return this.#book.addressesOf(peer, this.supervisor.peers.get(peer)?.presence?.addresses ?? [])
  }

  /** Remembers where the device of a session can be dialled. */
  remember({ connection }: Session): void {
    void this.#book.remember(connection)
  }

  /** Follows a session that runs over Noise although both sides speak TLS. */
  tlsMissed(session: Session): void {
    const { remotePeer: peer, connection } = session
    const { log, metrics } = this.#parts
    log('info', 'session.without-tls', { peer, address: connection.remoteAddr.toString() })
    metrics.tlsMissed()
    this.supervisor.withoutTls(session)
  }

  /** Paths of the sessions in use. */
  sessionPaths(): ConnectionPath[] {
    const peers = [...this.supervisor.peers.values()]
    return peers.flatMap(({ session }) => (session === undefined ? [] : [pathOf(session.connection)]))
  }

  /** Number of sessions in use that run over TLS. */
  sessionsOverTls(): number {
    const peers = [...this.supervisor.peers.values()]
    return peers.filter(({ session }) => session !== undefined && isTls(session.connection)).length
  }

  async #accept(stream: Stream, connection: Connection, signal: AbortSignal): Promise<void> {
    try {
      this.supervisor.admit(await this.#sessions.accept(stream, connection, { signal }))
    } catch (error) {
      if (error instanceof OtherVersionError) this.supervisor.refused(peerIdOf(connection.remotePeer), error)
      throw error
    }
  }

  /** Accepts the session of a TLS connection, whose handshake has proved which device it is. Never rejects. */
  async #acceptTls(connection: TlsConnection): Promise<void> {
    const { signal } = this.#stopping
    const peer = peerIdOf(connection.remotePeer)
    try {
      this.supervisor.admit(await this.#sessions.acceptTls(connection, { signal }))
    } catch (error) {
      if (error instanceof OtherVersionError) this.supervisor.refused(peer, error)
      this.#parts.log('debug', 'session.not-accepted', { peer, error: String(error) })
    }
  }

  #measured({ remotePeer, id }: SessionConnection, roundTripMs: number): void {
    const peer = peerIdOf(remotePeer)
    const inUse = this.supervisor.sessionOf(peer)?.connection.id
    if (inUse === id) this.#parts.store.registry.measured(peer, roundTripMs)
  }

  #trustChanged(peer: PeerId): void {
    for (const connection of this.#parts.host.connectionsTo(peer)) void this.#book.remember(connection)
    this.supervisor.trustChanged(peer)
    this.internet?.presence.peersChanged()
  }

  #networkChanged(): void {
    this.#parts.log('info', 'network.changed')
    this.supervisor.networkChanged()
    this.#lookAnew()
  }

  /** Asks every waiting part, and every device that may be here, anew: the network is another one, or the machine slept. */
  #lookAnew(): void {
    this.#parts.host.networkChanged()
    this.internet?.networkChanged()
    this.localNetwork?.look()
  }
}
