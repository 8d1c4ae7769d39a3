import type { Clock, ReachabilityFinding } from '../api.ts'
import type { DialEvidence } from '../network/reachability/dial-evidence.ts'
import { findObstacle, isSeeking } from '../network/reachability/reachability-finding.ts'
import type { Host } from '../network/host/host.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { DeviceRegistry } from '../store/device-registry.ts'
import type { PairingObserver } from './pairing-components.ts'

/** Delay of the first look at the evidence, and interval of the later ones. */
const firstLookMs = 4_000
const lookEveryMs = 500
/** Number of findings told: more devices that cannot be reached tell a person nothing new. */
const maxFindings = 3

export interface ObstacleWatchParts {
  evidence: DialEvidence
  clock: Clock
  /** Role of this device: the initiator hears only of devices that look for somebody, since any other may have its firewall. */
  role: 'initiator' | 'joiner'
  /** Peers whose addresses a person gave. */
  given: readonly PeerId[]
  /** Peers that say in a DHT that they show the code, so far. */
  published: ReadonlySet<PeerId>
  registry: Pick<DeviceRegistry, 'get'>
  host: Pick<Host, 'listeningPort'>
  /** Observer that is told of a finding once for each peer. */
  observer: Pick<PairingObserver, 'progress'>
}

/** Looks, while a pairing waits for the other device, whether there is one that cannot be reached. */
export class ObstacleWatch {
  readonly #parts: ObstacleWatchParts
  readonly #sinceMs: number
  readonly #told = new Set<string>()
  #cancelTimer: () => void
  #isOver = false

  constructor(parts: ObstacleWatchParts) {
    this.#parts = parts
    this.#sinceMs = parts.clock.monotonic()
    this.#cancelTimer = parts.clock.after(firstLookMs, () => this.#look())
  }

  /** Ends the watch: the other device is there, or nobody waits for it any more. */
  stop(): void {
    this.#isOver = true
    this.#cancelTimer()
  }

  /** Finding that stands in the way now; null when nothing does. */
  current(): ReachabilityFinding | null {
    return this.#isOver ? null : (this.#findings()[0] ?? null)
  }

  #look(): void {
    const { clock, observer } = this.#parts
    for (const finding of this.#findings()) {
      if (this.#told.size >= maxFindings || this.#told.has(finding.peer)) continue
      this.#told.add(finding.peer)
      observer.progress({ kind: 'obstacle', finding })
    }
    if (this.#told.size < maxFindings) this.#cancelTimer = clock.after(lookEveryMs, () => this.#look())
  }

  #findings(): ReachabilityFinding[] {
    const { given, published, evidence, clock, role } = this.#parts
    const isExpected = (peer: PeerId): boolean =>
      role === 'joiner' || given.includes(peer) || isSeeking(evidence.of(peer), clock.monotonic())
    const seen = evidence
      .heardSince(this.#sinceMs)
      .filter(isExpected)
      .flatMap((peer) => this.#finding(peer, 'seen'))
    const isNew = (peer: PeerId): boolean => seen.every((finding) => finding.peer !== peer)
    const named = given.filter(isNew).flatMap((peer) => this.#finding(peer, 'given'))
    const others = [...published].filter((peer) => isNew(peer) && !given.includes(peer))
    return [...named, ...seen, ...others.flatMap((peer) => this.#finding(peer, 'published'))]
  }

  #finding(peer: PeerId, known: ReachabilityFinding['known']): ReachabilityFinding[] {
    const { evidence, host } = this.#parts
    const found = findObstacle(evidence.of(peer), known)
    if (found === null) return []
    return [completeFinding(found, { peer, name: this.#nameOf(peer), ownPort: host.listeningPort() })]
  }

  /** Returns the name of a device that is known here; null for others. */
  #nameOf(peer: PeerId): string | null {
    const device = this.#parts.registry.get(peer)
    return device === undefined || device.name === device.id ? null : device.name
  }
}

/** Adds to a finding the device's name and the remedies. */
export function completeFinding(
  found: Pick<ReachabilityFinding, 'cause' | 'known' | 'address' | 'port'>,
  about: Pick<ReachabilityFinding, 'peer' | 'name' | 'ownPort'>,
): ReachabilityFinding {
  // A device that was seen and dials too is reached as soon as one of the two lets the other in; one that is
  // only known by an address may not know how to get here.
  const other =
    found.known !== 'seen' ? ['swap' as const] : about.ownPort === null ? [] : ['open-here' as const]
  return { ...found, ...about, remedies: ['open-there', ...other] }
}
