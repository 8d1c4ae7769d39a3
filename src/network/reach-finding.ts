import { multiaddr } from '@multiformats/multiaddr'
import type { ReachFinding } from '../api.ts'
import type { DialObstacle } from './dial-obstacle.ts'
import { classOfAddress } from './addresses/address-class.ts'

/** What is known of one peer: when it was heard on the local network, and what became of dials to it. Monotonic milliseconds. */
export interface PeerEvidence {
  /** When it announced itself, in order; none once it has said goodbye. */
  announcedAtMs: readonly number[]
  /** The last time; null when it is not there. */
  heardAtMs: number | null
  /** Whether there is a connection now, whoever opened it. */
  isConnected: boolean
  /** One for each address; none for addresses that lead through a relay. */
  attempts: readonly DialRecord[]
}

export interface DialRecord {
  /** Multiaddr without a peer id. */
  address: string
  /** When the first of the dials in a row began. */
  sinceMs: number
  /** How long they have waited for an answer in all, up to now. */
  waitedMs: number
  /** Of the last one that ended; null while none has. */
  obstacle: DialObstacle | null
}

/** How the peer came to be dialled. */
export type Acquaintance = ReachFinding['known']

/** A peer that sends an answer at all does so long before. */
const patienceMs = 3_000

/**
 * Turns evidence about one peer into why it is not reached; null when nothing can be said. Who was seen counts only if it
 * was there when it was dialled: one that was switched off has no firewall.
 */
export function findObstacle(
  evidence: PeerEvidence,
  known: Acquaintance,
): Pick<ReachFinding, 'cause' | 'known' | 'address' | 'port'> | null {
  if (evidence.isConnected || evidence.attempts.length === 0) return null
  const dialledAtMs = Math.min(...evidence.attempts.map(({ sinceMs }) => sinceMs))
  if (known === 'seen' && (evidence.heardAtMs ?? -Infinity) < dialledAtMs) return null
  const telling = evidence.attempts.flatMap((attempt) => {
    // A private address in a record may be one of another network: that nobody answers there says nothing.
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

function causeOf({ waitedMs, obstacle }: DialRecord): ReachFinding['cause'] | null {
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

/** What people know first: IPv4, and no link-local address when there is another. */
function rank({ cause, address }: Pick<ReachFinding, 'cause' | 'address'>): number {
  const family = address.startsWith('/ip4/') ? 0 : /\/ip6\/fe80:/iu.test(address) ? 2 : 1
  return family * 2 + (cause === 'no-answer' ? 0 : 1)
}

function placeOf(address: string): { address: string; port: number } {
  const port = multiaddr(address)
    .getComponents()
    .find(({ name }) => name === 'tcp')?.value
  return { address, port: Number(port ?? 0) }
}
