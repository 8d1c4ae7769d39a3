import type { ConnectionPath, Log } from '../api.ts'
import type { SpacedockError } from '../errors.ts'
import { isRelayedConnection } from '../network/addresses/relayed-address.ts'
import type { Host } from '../network/host/host.ts'
import { sessionProtocol, sessionVersion, type Session, type SessionEnd } from '../network/session/session.ts'
import { isTls, type SessionConnection } from '../network/transport/tls-connection.ts'
import { failureCauses } from '../network/supervisor/failures.ts'
import type { Peer } from '../network/supervisor/peer.ts'
import type { PeerListener } from '../network/supervisor/peer-parts.ts'
import { OtherVersionError, otherVersionsTold } from '../other-version.ts'
import { recordVersion } from '../pairing/record-version.ts'
import type { DeviceRegistry } from '../store/device-registry.ts'
import type { KnownAddresses } from './address-book.ts'
import type { Firewalled } from './firewalled.ts'
import type { NodeCounters } from './node-counters.ts'

export interface ConnectionRecorderParts {
  registry: DeviceRegistry
  host: Host
  book: KnownAddresses
  firewalled: Firewalled
  metrics: NodeCounters
  log: Log
}

/** Records what becomes of the devices in the network: in the registry, among the counters, in the log. */
export class ConnectionRecorder implements PeerListener {
  readonly #parts: ConnectionRecorderParts

  constructor(parts: ConnectionRecorderParts) {
    this.#parts = parts
  }

  sessionStarted({ id: peer }: Peer, { connection, budget }: Session): void {
    const { registry, metrics, book, log } = this.#parts
    const address = connection.remoteAddr.toString()
    const encryption = isTls(connection) ? 'tls' : 'noise'
    log('info', 'session.started', { peer, address, encryption })
    registry.connected(peer, { path: pathOf(connection), address, limited: budget !== null })
    metrics.sessionOpened(encryption)
    void book.remember(connection)
  }

  sessionEnded({ id: peer }: Peer, { reason }: SessionEnd, failure: SpacedockError | null): void {
    const { registry, metrics, log } = this.#parts
    log('info', 'session.ended', { peer, reason })
    metrics.sessionLost()
    registry.disconnected(peer, failure)
  }

  attemptFailed(peer: Peer, failure: SpacedockError): void {
    const { registry, firewalled, metrics, log } = this.#parts
    const { id } = peer
    const { code, message } = failure
    log('debug', 'session.attempt-failed', { peer: id, code, message, causes: failureCauses(failure) })
    metrics.connectionRetried()
    registry.disconnected(id, this.#otherVersion(peer) ?? firewalled.explain(id, failure))
  }

  unknownDevice({ id }: Peer, failure: SpacedockError): void {
    this.#parts.registry.disconnected(id, failure)
  }

  /**
   * Error of a device that serves the session, or says where it is, in other versions only: the reason behind any failed attempt.
   */
  #otherVersion({ id, presence }: Peer): OtherVersionError | null {
    const versions = otherVersionsTold(this.#parts.host.toldProtocols(id), sessionProtocol)
    if (versions.length > 0) return new OtherVersionError('Spacedock’s protocol', versions, [sessionVersion])
    const unread = presence?.unreadVersion ?? null
    return unread === null ? null : new OtherVersionError('records', [unread], [recordVersion])
  }
}

export function pathOf(connection: SessionConnection): ConnectionPath {
  return isRelayedConnection(connection) ? 'relayed' : 'direct'
}
