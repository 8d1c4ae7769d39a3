import type { Clock, DeviceFailure, ReachabilityFinding } from '../api.ts'
import type { SpacedockError } from '../errors.ts'
import type { LocalDiscovery } from '../network/discovery/local-network.ts'
import type { Host } from '../network/host/host.ts'
import type { DialEvidence } from '../network/reachability/dial-evidence.ts'
import { describeFinding } from '../finding-text.ts'
import { TokenBucket } from '../network/token-bucket.ts'
import { findObstacle } from '../network/reachability/reachability-finding.ts'
import { completeFinding } from '../protocols/obstacle-watch.ts'
import type { DeviceRegistry } from '../store/device-registry.ts'
import type { PeerId } from '../pairing/peer-id.ts'

export interface FirewalledParts {
  evidence: DialEvidence
  clock: Clock
  registry: Pick<DeviceRegistry, 'get'>
  host: Pick<Host, 'listeningPort'>
  /** Local network, where it is asked who is there; null when it is not used. */
  localNetwork: Pick<LocalDiscovery, 'look'> | null
}

/** Tells whether a device that is not reached is there all the same, behind a firewall, and which port to open. */
export class Firewalled {
  readonly #parts: FirewalledParts
  readonly #looks = new TokenBucket({ everyMs: 60_000, inARow: 1 })

  constructor(parts: FirewalledParts) {
    this.#parts = parts
  }

  /** Failure of a connection attempt, with what is known of its cause. */
  explain(peer: PeerId, failure: SpacedockError): Omit<DeviceFailure, 'at'> {
    const { evidence, clock, localNetwork } = this.#parts
    const { code, message, hint = null } = failure
    const plain = { code, message, hint, finding: null }
    if (code !== 'offline') return plain
    const finding = this.#finding(peer)
    if (finding !== null) return { code, ...describeFinding(finding, 'device'), finding }
    // A device that was switched off without a goodbye looks the same until it is asked. Once a minute, for all devices together.
    if (evidence.of(peer).heardAtMs !== null && this.#looks.take(clock.monotonic())) localNetwork?.look()
    return plain
  }

  #finding(peer: PeerId): ReachabilityFinding | null {
    const { evidence, registry, host } = this.#parts
    const found = findObstacle(evidence.of(peer), 'seen')
    if (found === null) return null
    const name = registry.get(peer)?.name ?? null
    return completeFinding(found, { peer, name, ownPort: host.listeningPort() })
  }
}
