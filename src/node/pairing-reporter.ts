import type { Clock, PairingProgress, PairOptions, ReachabilityFinding } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { parsePeerAddress } from '../network/addresses/peer-address.ts'
import type { LocalDiscovery } from '../network/discovery/local-network.ts'
import type { Host } from '../network/host/host.ts'
import type { DialEvidence } from '../network/reachability/dial-evidence.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { ObstacleWatch } from '../protocols/obstacle-watch.ts'
import type { PairingObserver } from '../protocols/pairing-components.ts'
import { VersionWatch } from '../protocols/version-watch.ts'
import type { DeviceRegistry } from '../store/device-registry.ts'
import type { ApplicationEvents } from './application-events.ts'

export interface PairingReporterParts {
  host: Host
  /** Null when multicast DNS is switched off. */
  localNetwork: LocalDiscovery | null
  /** Results of dials, and the devices heard on the local network. */
  evidence: DialEvidence
  registry: DeviceRegistry
  events: ApplicationEvents
  clock: Clock
}

export interface ReportedPairing {
  role: 'initiator' | 'joiner'
  /** 32 hex digits. */
  sessionId: string
  /** Addresses that a person gave. */
  peers: readonly string[]
  onProgress: PairOptions['onProgress']
}

/** Tells the caller and the node's listeners how one pairing goes, and watches what is in its way. */
export class PairingReporter implements PairingObserver {
  /** Peers that say in a DHT that they show the code, so far. */
  readonly published = new Set<PeerId>()
  readonly #events: ApplicationEvents
  readonly #pairing: ReportedPairing
  readonly #contact = new AbortController()
  readonly #obstacles: ObstacleWatch
  readonly #versions: VersionWatch
  readonly #watching = new AbortController()

  constructor(parts: PairingReporterParts, pairing: ReportedPairing) {
    const { host, localNetwork, events } = parts
    this.#events = events
    this.#pairing = pairing
    this.#obstacles = new ObstacleWatch({
      ...parts,
      role: pairing.role,
      given: pairing.peers.map((address) => parsePeerAddress(address).peer),
      published: this.published,
      observer: this,
    })
    this.#versions = new VersionWatch(host, this)
    const local = (status: 'ready' | 'unavailable', detail: string): void =>
      this.progress({ kind: 'source', source: 'local-network', status, detail })
    if (localNetwork === null) local('unavailable', 'multicast DNS is switched off')
    else localNetwork.watchStatus(local, this.#watching.signal)
  }

  /** Aborts when the other device has shown that it has the words. */
  get contact(): AbortSignal {
    return this.#contact.signal
  }

  progress(progress: PairingProgress): void {
    const { role, sessionId, onProgress } = this.#pairing
    if (progress.kind === 'contact') {
      this.#contact.abort()
      this.#obstacles.stop()
      this.#versions.stop()
    }
    onProgress?.(progress)
    this.#events.pairingProgress({ sessionId, role, progress })
  }

  /** Takes note of a record for this code that another version has written. */
  metRecord(version: number): void {
    this.#versions.metRecord(version)
  }

  obstacle(): ReachabilityFinding | null {
    return this.#obstacles.current()
  }

  otherVersion(): SpacedockError | null {
    return this.#versions.failure(this.#pairing.role)
  }

  paired(): void {
    this.#events.pairingSucceeded(this.#pairing.role)
  }

  failed(error: unknown): void {
    const { role, sessionId } = this.#pairing
    const { code, message } =
      error instanceof SpacedockError ? error : { code: 'internal', message: String(error) }
    this.#events.pairingFailed({ sessionId, role, code, message })
  }

  /** Ends the watches: the pairing has ended. */
  stop(): void {
    this.#obstacles.stop()
    this.#versions.stop()
    this.#watching.abort()
  }
}
