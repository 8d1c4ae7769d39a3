import type { Clock } from '../../api.ts'
import { dialObstacle, type DialObstacle } from './dial-obstacle.ts'
import type { DialRecord, PeerEvidence } from './reachability-finding.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** Dial to one address, from its start. */
export interface DialAttempt {
  /** Peer id, base58btc. */
  peer: PeerId
  /** Multiaddr without /p2p/PEERID. */
  address: string
  /** Settles as the dial does. */
  result: Promise<unknown>
}

interface Dialled {
  sinceMs: number
  waitedMs: number
  obstacle: DialObstacle | null
  /** Start times of the dials under way. */
  readonly running: Set<number>
  endedAtMs: number
}

const maxPeers = 256
const maxAddresses = 16
const maxAnnouncements = 8
/** Interval within which sightings count as one announcement: it comes over IPv4 and IPv6, and over several interfaces. */
const sameAnnouncementMs = 700
/** Distance from which on two dials say nothing about each other. */
const staleMs = 60_000

/** Records the results of dials to each peer, and its sightings on the local network; at most 256 peers each. */
export class DialEvidence {
  readonly #clock: Clock
  readonly #isConnected: (peer: PeerId) => boolean
  readonly #dialled = new Map<PeerId, Map<string, Dialled>>()
  readonly #heard = new Map<PeerId, { announcedAtMs: readonly number[]; lastAtMs: number }>()

  constructor(clock: Clock, isConnected: (peer: PeerId) => boolean) {
    this.#clock = clock
    this.#isConnected = isConnected
  }

  /** Records a dial. Relayed addresses are left out: a relay that does not answer says nothing about the peer behind it. */
  dialling({ peer, address, result }: DialAttempt): void {
    if (address.includes('/p2p-circuit')) return
    const startedAtMs = this.#clock.monotonic()
    const dialled = this.#at(peer, address, startedAtMs)
    if (dialled === null) return
    dialled.running.add(startedAtMs)
    result.then(
      () => this.#dialled.delete(peer),
      (error: unknown) => {
        const nowMs = this.#clock.monotonic()
        dialled.running.delete(startedAtMs)
        dialled.waitedMs += nowMs - startedAtMs
        dialled.obstacle = dialObstacle(error)
        dialled.endedAtMs = nowMs
      },
    )
  }

  heard(peer: PeerId): void {
    const nowMs = this.#clock.monotonic()
    const before = this.#heard.get(peer)?.announcedAtMs ?? []
    const isSame = nowMs - (before.at(-1) ?? -Infinity) < sameAnnouncementMs
    const announcedAtMs = isSame ? before : [...before, nowMs].slice(-maxAnnouncements)
    this.#heard.delete(peer) // moves it to the end of the order
    this.#heard.set(peer, { announcedAtMs, lastAtMs: nowMs })
    dropOldest(this.#heard)
  }

  lost(peer: PeerId): void {
    this.#heard.delete(peer)
  }

  /** Peers heard since then. */
  heardSince(atMs: number): PeerId[] {
    return [...this.#heard].flatMap(([peer, { lastAtMs }]) => (lastAtMs >= atMs ? [peer] : []))
  }

  of(peer: PeerId): PeerEvidence {
    const nowMs = this.#clock.monotonic()
    const attempts = [...(this.#dialled.get(peer) ?? [])].flatMap(([address, dialled]) =>
      isStale(dialled, nowMs) ? [] : [recordOf(address, dialled, nowMs)],
    )
    const { announcedAtMs = [], lastAtMs = null } = this.#heard.get(peer) ?? {}
    return { announcedAtMs, heardAtMs: lastAtMs, isConnected: this.#isConnected(peer), attempts }
  }

  #at(peer: PeerId, address: string, nowMs: number): Dialled | null {
    const addresses = this.#dialled.get(peer) ?? new Map<string, Dialled>()
    this.#dialled.delete(peer) // moves it to the end of the order
    this.#dialled.set(peer, addresses)
    dropOldest(this.#dialled)
    const known = addresses.get(address)
    if (known !== undefined && !isStale(known, nowMs)) return known
    if (known === undefined && addresses.size >= maxAddresses) return null
    const fresh: Dialled = {
      sinceMs: nowMs,
      waitedMs: 0,
      obstacle: null,
      running: new Set(),
      endedAtMs: nowMs,
    }
    addresses.set(address, fresh)
    return fresh
  }
}

function isStale({ running, endedAtMs }: Dialled, nowMs: number): boolean {
  return running.size === 0 && nowMs - endedAtMs > staleMs
}

function recordOf(address: string, dialled: Dialled, nowMs: number): DialRecord {
  const [startedAtMs = nowMs] = dialled.running
  const { sinceMs, waitedMs, obstacle } = dialled
  return { address, sinceMs, waitedMs: waitedMs + (nowMs - startedAtMs), obstacle }
}

function dropOldest<Key>(map: Map<Key, unknown>): void {
  if (map.size <= maxPeers) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
