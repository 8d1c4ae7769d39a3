import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { ConnectionPath, Log } from '../api.ts'
import type { SpacedockError } from '../errors.ts'
import { OtherVersionError } from '../other-version.ts'
import type { LocalDiscovery, LocalListener } from '../network/discovery/local-network.ts'
import type { DialEvidence } from '../network/reachability/dial-evidence.ts'
import type { StreamProtocol } from '../network/application/protocol-registry.ts'
import type { Host } from '../network/host/host.ts'
import { isRelayedConnection } from '../network/addresses/relayed-address.ts'
import { SessionEndpoint } from '../network/session/session-endpoint.ts'
import {
  sessionProtocol,
  sessionVersion,
  type Session,
  type SessionOptions,
} from '../network/session/session.ts'
import { refuseDevice } from '../network/session/session-handshake.ts'
import { ConnectionSupervisor } from '../network/supervisor/connection-supervisor.ts'
import { failureCauses } from '../network/supervisor/failures.ts'
import { otherVersionsTold } from '../network/told-versions.ts'
import { recordVersion } from '../pairing/rendezvous-record.ts'
import type { PairingConnections } from '../protocols/pairing-components.ts'
import type { Store } from '../store/store.ts'
import { interleave } from '../store/interleave.ts'
import { Firewalled } from './firewalled.ts'
import { Internet, type InternetSettings } from './internet.ts'
import { fraction, type Platform } from './platform.ts'
import type { Metrics } from './metrics.ts'
import type { TrustedPeers } from './trusted-peers.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdOf } from '../peer-id.ts'

export interface ConnectionsParts {
  store: Store
  host: Host
  trusted: TrustedPeers
  metrics: Metrics
  platform: Platform
  log: Log
  interfaces: string[] | undefined
  /** Whether to be found, and to find others, on the local network. */
  mdns: boolean
  /** Results of dials, and the devices heard on the local network. */
  evidence: DialEvidence
  /** Null when nothing but the local network is used. */
  settings: InternetSettings | null
  /** Start of every session, and the handling of what comes over it. */
  session: Omit<
    SessionOptions,
    'localPeer' | 'onRoundTrip' | 'countBytes' | 'random' | 'clock' | 'log' | 'signal'
  >
}

/** Keeps every paired device connected, by all the ways there are, and records what comes of it. */
export class Connections implements PairingConnections, LocalListener {
  readonly supervisor: ConnectionSupervisor
  /** Null when multicast DNS is switched off. */
  readonly localNetwork: LocalDiscovery | null
  readonly internet: Internet | null
  readonly #parts: ConnectionsParts
  readonly #sessions: SessionEndpoint
  readonly #firewalled: Firewalled
  readonly #stopListening: (() => void)[] = []
  readonly #sessionListeners: ((peer: PeerId) => void)[] = []
  readonly #sessionEndListeners: ((peer: PeerId) => void)[] = []
  /** Version of each device's record that cannot be read here. */
  readonly #unreadRecords = new Map<PeerId, number>()
  #stopped = false

  constructor(parts: ConnectionsParts) {
    this.#parts = parts
    const { store, host, trusted, metrics, platform, log, interfaces, mdns, settings, evidence } = parts
    const { clock, random } = platform
    this.#sessions = new SessionEndpoint({
      ...parts.session,
      localPeer: host.peerId,
      onRoundTrip: (connection, roundTripMs) => this.#measured(connection, roundTripMs),
      countBytes: metrics.passed,
      random,
      clock,
      log,
    })
    this.supervisor = new ConnectionSupervisor({
      host,
      trusted,
      book: { addressesOf: (peer) => this.#dialable(peer) },
      opener: this.#sessions,
      random: () => fraction(random),
      clock,
      log,
    })
    this.supervisor.listen({
      sessionStarted: (_peer, session) => this.#started(session),
      sessionEnded: ({ id }, { reason }, failure) => this.#ended(id, reason, failure),
      attemptFailed: ({ id }, failure) => this.#failed(id, failure),
      unknownDevice: ({ id }, failure) => store.registry.disconnected(id, failure),
      renewalFailed: ({ id }) => this.internet?.presence.look(id),
      woke: () => this.#lookAnew(),
    })
    this.localNetwork = mdns ? platform.localNetwork(this, { host, interfaces, log }) : null
    this.#firewalled = new Firewalled({
      evidence,
      clock,
      nameOf: (peer) => store.registry.get(peer)?.name ?? null,
      ownPort: () => host.listeningPort(),
      look: () => this.localNetwork?.look(),
    })
    const internet = (known: InternetSettings): Internet =>
      new Internet({
        settings: known,
        host,
        interfaces,
        clock,
        log,
        devices: () => trusted.pairKeys(),
        // A device over a relay that carries little has to be found again soon.
        isConnected: (peer) => this.sessionOf(peer)?.budget === null,
        onNodeConnected: () => this.supervisor.tryAnew(),
        onFound: (peer) => {
          this.#unreadRecords.delete(peer)
          log('info', 'presence.found', { peer })
          this.supervisor.sighting(peer)
        },
        onOtherVersion: (peer, version) => {
          this.#unreadRecords.set(peer, version)
          const error = new OtherVersionError('records', [version], [recordVersion])
          this.supervisor.refused(peer, error)
        },
      })
    this.internet = settings === null ? null : internet(settings)
  }

  async start(): Promise<void> {
    const { host, store, metrics, platform, evidence } = this.#parts
    host.onConnection((connection) => {
      metrics.connectionOpened(pathOf(connection))
      this.supervisor.connectionOpened(connection)
    })
    host.onDial((result) => metrics.dialled(result))
    host.onAttempt((attempt) => evidence.dialling(attempt))
    host.onIdentified((connection) => void this.#rememberAddress(connection))
    this.#stopListening.push(
      store.trust.onChange((peer) => {
        this.#unreadRecords.delete(peer)
        const connections = host.connectionsTo(peer)
        for (const connection of connections) void this.#rememberAddress(connection)
        this.internet?.presence.devicesChanged()
      }),
      platform.watchNetwork(() => this.#networkChanged()),
    )
    // First of all: the supervisor turns nobody away who comes in while the others start.
    this.supervisor.start()
    await this.localNetwork?.start()
    this.internet?.start()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const stop of this.#stopListening) stop()
    await this.supervisor.stop()
    await Promise.allSettled([this.localNetwork?.stop(), this.internet?.stop()])
  }

  /** Calls back when a device has a session: its first, or one that takes the place of another. */
  onSession(listener: (peer: PeerId) => void): void {
    this.#sessionListeners.push(listener)
  }

  /** Calls back when a device has no session any more. */
  onSessionEnded(listener: (peer: PeerId) => void): void {
    this.#sessionEndListeners.push(listener)
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

  /**
   * Returns addresses where a device was last, where it is seen, and where it says that it is: by turns, so that no way waits for
   * another.
   */
  addressesOf(peer: PeerId): string[] {
    const { registry } = this.#parts.store
    return interleave(registry.addressesOf(peer), this.internet?.presence.addressesOf(peer) ?? [])
  }

  async #accept(stream: Stream, connection: Connection, signal: AbortSignal): Promise<void> {
    try {
      this.supervisor.admit(await this.#sessions.accept(stream, connection, { signal }))
    } catch (error) {
      if (error instanceof OtherVersionError) this.supervisor.refused(peerIdOf(connection.remotePeer), error)
      throw error
    }
  }

  #dialable(peer: PeerId): Multiaddr[] {
    return this.addressesOf(peer).map((address) => multiaddr(address))
  }

  #started(session: Session): void {
    const { store, metrics, log } = this.#parts
    const { remotePeer: peer, connection } = session
    const address = connection.remoteAddr.toString()
    const path = pathOf(connection)
    this.#unreadRecords.delete(peer)
    log('info', 'session.started', { peer, address })
    store.registry.connected(peer, { path, address, limited: session.budget !== null })
    metrics.sessionOpened(peer, path)
    void this.#rememberAddress(connection)
    for (const listener of this.#sessionListeners) listener(peer)
  }

  #ended(peer: PeerId, reason: string, failure: SpacedockError | null): void {
    const { store, metrics, log } = this.#parts
    log('info', 'session.ended', { peer, reason })
    metrics.sessionLost(peer)
    store.registry.disconnected(peer, failure)
    for (const listener of this.#sessionEndListeners) listener(peer)
    this.internet?.presence.look(peer)
  }

  #failed(peer: PeerId, failure: SpacedockError): void {
    const { store, metrics, log } = this.#parts
    const { code, message } = failure
    log('debug', 'session.attempt-failed', { peer, code, message, causes: failureCauses(failure) })
    metrics.connectionRetried()
    store.registry.disconnected(peer, this.#otherVersion(peer) ?? this.#firewalled.explain(peer, failure))
  }

  /**
   * Error of a device that serves the session, or says where it is, in other versions only: the reason behind any failed attempt.
   */
  #otherVersion(peer: PeerId): OtherVersionError | null {
    const told = this.#parts.host.toldProtocols(peer)
    const versions = otherVersionsTold(told, sessionProtocol)
    if (versions.length > 0) return new OtherVersionError('Spacedock’s protocol', versions, [sessionVersion])
    const unread = this.#unreadRecords.get(peer)
    return unread === undefined ? null : new OtherVersionError('records', [unread], [recordVersion])
  }

  #measured({ remotePeer, id }: Connection, roundTripMs: number): void {
    const peer = peerIdOf(remotePeer)
    const inUse = this.supervisor.sessionOf(peer)?.connection.id
    if (inUse === id) this.#parts.store.registry.measured(peer, roundTripMs)
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

  /**
   * Remembers the address, so that the device is found again even when the first connection breaks before it has carried a
   * session.
   */
  async #rememberAddress(connection: Connection): Promise<void> {
    const { host, store, trusted } = this.#parts
    const peer = peerIdOf(connection.remotePeer)
    if (trusted.keysOf(peer).length === 0) return
    const address = await host.dialableAddress(connection)
    if (address !== null && !this.#stopped) store.registry.reachableAt(peer, address.toString())
  }
}

export function pathOf(connection: Connection): ConnectionPath {
  return isRelayedConnection(connection) ? 'relayed' : 'direct'
}
