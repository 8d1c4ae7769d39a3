import type { Clock, ReachabilityFinding } from '../api.ts'
import type { DialEvidence } from '../network/reachability/dial-evidence.ts'
import { findObstacle, isSeeking } from '../network/reachability/reachability-finding.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Delay of the first look at the evidence, and interval of the later ones. */
const firstLookMs = 4_000
const lookEveryMs = 500
/** Number of findings told: more devices that cannot be reached tell a person nothing new. */
const maxFindings = 3

export interface ObstacleWatchOptions {
  evidence: DialEvidence
  clock: Clock
  /** Role of this device: the initiator hears only of devices that look for somebody, since any other may have its firewall. */
  role: 'initiator' | 'joiner'
  /** Peers whose addresses a person gave. */
  given: readonly PeerId[]
  /** Peers that say in a DHT that they show the code, so far. */
  published: ReadonlySet<PeerId>
  nameOf: (peer: PeerId) => string | null
  ownPort: () => number | null
  /** Called once for each peer. */
  onFinding: (finding: ReachabilityFinding) => void
}

/** Looks, while a pairing waits for the other device, whether there is one that cannot be reached. */
export class ObstacleWatch {
  readonly #options: ObstacleWatchOptions
  readonly #sinceMs: number
  readonly #told = new Set<string>()
  #cancelTimer: () => void
  #isOver = false

  constructor(options: ObstacleWatchOptions) {
    this.#options = options
    this.#sinceMs = options.clock.monotonic()
    this.#cancelTimer = options.clock.after(firstLookMs, () => this.#look())
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
    const { clock, onFinding } = this.#options
    for (const finding of this.#findings()) {
      if (this.#told.size >= maxFindings || this.#told.has(finding.peer)) continue
      this.#told.add(finding.peer)
      onFinding(finding)
    }
    if (this.#told.size < maxFindings) this.#cancelTimer = clock.after(lookEveryMs, () => this.#look())
  }

  #findings(): ReachabilityFinding[] {
    const { given, published, evidence, clock, role } = this.#options
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
    const { evidence, nameOf, ownPort } = this.#options
    const found = findObstacle(evidence.of(peer), known)
    return found === null ? [] : [completeFinding(found, { peer, name: nameOf(peer), ownPort: ownPort() })]
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
