import { multiaddr } from '@multiformats/multiaddr'
import type { ReachabilityFinding } from '../../api.ts'
import type { DialObstacle } from './dial-obstacle.ts'
import { classOfAddress } from '../addresses/address-class.ts'

/** Evidence about one peer: sightings on the local network, and results of dials to it. Times are monotonic milliseconds. */
export interface PeerEvidence {
  /** Times of its announcements, in order; none once it has said goodbye. */
  announcedAtMs: readonly number[]
  /** Time of the last sighting; null when it is not there. */
  heardAtMs: number | null
  /** Whether there is a connection now, in either direction. */
  isConnected: boolean
  /** Records of dials, one for each direct address. */
  attempts: readonly DialRecord[]
}

export interface DialRecord {
  /** Multiaddr without a peer id. */
  address: string
  /** Start of the first of the consecutive dials. */
  sinceMs: number
  /** Time that they have waited for an answer in all, up to now. */
  waitedMs: number
  /** Obstacle of the last dial that ended; null while none has. */
  obstacle: DialObstacle | null
}

/** Source of the peer's address. */
export type Acquaintance = ReachabilityFinding['known']

/** Time without an answer after which a dial counts as unanswered: a peer that answers at all does so long before. */
const patienceMs = 3_000

/**
 * Finds out from evidence about one peer why it is not reached; null when nothing can be said. A seen peer counts only if it was
 * there when it was dialled: one that was switched off has no firewall.
 */
export function findObstacle(
  evidence: PeerEvidence,
  known: Acquaintance,
): Pick<ReachabilityFinding, 'cause' | 'known' | 'address' | 'port'> | null {
  if (evidence.isConnected || evidence.attempts.length === 0) return null
  const dialledAtMs = Math.min(...evidence.attempts.map(({ sinceMs }) => sinceMs))
  if (known === 'seen' && (evidence.heardAtMs ?? -Infinity) < dialledAtMs) return null
  const telling = evidence.attempts.flatMap((attempt) => {
    // A private address in a record may belong to another network: no answer there says nothing.
    if (known === 'published' && !isFromAnywhere(attempt.address)) return []
    const cause = causeOf(attempt)
    return cause === null ? [] : [{ cause, known, ...placeOf(attempt.address) }]
  })
  const [best] = telling.sort((one, other) => rank(one) - rank(other))
  return best ?? null
}

/**
 * Whether a peer announces itself once a second, as one does that is looking for the device that shows a code; others are
 * heard when they start and when somebody asks.
 */
export function isSeeking({ announcedAtMs }: Pick<PeerEvidence, 'announcedAtMs'>, nowMs: number): boolean {
  return announcedAtMs.filter((atMs) => atMs > nowMs - seekingWindowMs).length >= seekingAnnouncements
}

const seekingAnnouncements = 5
const seekingWindowMs = 7_000

function isFromAnywhere(address: string): boolean {
  const found = classOfAddress(multiaddr(address))
  return found === 'public' || found === 'global-ipv6'
}

function causeOf({ waitedMs, obstacle }: DialRecord): ReachabilityFinding['cause'] | null {
  switch (obstacle) {
    case 'refused':
    case 'unreachable':
    case 'reset':
      return obstacle
    case 'no-route':
    case 'stranger':
      return null
    case 'silence':
    case null:
      return waitedMs >= patienceMs ? 'no-answer' : null
  }
}

/** Ranks addresses by how well people know them: IPv4 first, a link-local one last. */
function rank({ cause, address }: Pick<ReachabilityFinding, 'cause' | 'address'>): number {
  const family = address.startsWith('/ip4/') ? 0 : /\/ip6\/fe80:/iu.test(address) ? 2 : 1
  return family * 2 + (cause === 'no-answer' ? 0 : 1)
}

function placeOf(address: string): { address: string; port: number } {
  const port = multiaddr(address)
    .getComponents()
    .find(({ name }) => name === 'tcp')?.value
  return { address, port: Number(port ?? 0) }
}
