import type { Clock } from '../api.ts'
import type { FoundPeer } from '../network/discovery/candidate-sources.ts'
import type { PeerId } from '../pairing/peer-id.ts'

export interface CandidateQueueOptions {
  /** Number of peers asked at the same moment; the others wait their turn. @default 64 */
  maxAsking?: number
  /** Number of peers remembered, bounded because anybody can invent peers. @default 1_024 */
  maxPeers?: number
}

const maxAddressesPerPeer = 16
/** Wait before a silent peer is asked again; doubled each time. */
const firstRetryMs = 500
const longestRetryMs = 8_000
/** Time that a peer has for its answer while others wait, doubled each time. Alone, it has all the time. */
const firstPatienceMs = 500
const longestPatienceMs = 8_000

interface Candidate {
  addresses: string[]
  rank: Rank
  /** Abort of the question in progress; null while the peer is not asked. */
  question: AbortController | null
  nextPatienceMs: number
  nextRetryMs: number
  cancelTimer: () => void
}

/**
 * Order of asking: a peer whose address a person gave; then peers there is news of; then those that were silent. So invented
 * peers, which only the network names, can hold up others of their kind and never the first.
 */
const ranks = ['given', 'news', 'silent'] as const
type Rank = (typeof ranks)[number]

/** Order, and frequency, in which the peers that may be the right one are asked. */
export class CandidateQueue {
  readonly #clock: Clock
  readonly #ask: (peer: PeerId) => void
  readonly #candidates = new Map<PeerId, Candidate>()
  readonly #waiting: Record<Rank, Set<PeerId>> = { given: new Set(), news: new Set(), silent: new Set() }
  readonly #options: Required<CandidateQueueOptions>
  #asking = 0
  #isPaused = false

  constructor(clock: Clock, ask: (peer: PeerId) => void, options: CandidateQueueOptions = {}) {
    this.#clock = clock
    this.#ask = ask
    this.#options = { maxAsking: 64, maxPeers: 1_024, ...options }
  }

  all(): PeerId[] {
    return [...this.#candidates.keys()]
  }

  addressesOf(peer: PeerId): readonly string[] {
    return this.#candidates.get(peer)?.addresses ?? []
  }

  /** Aborts when the question to this peer has taken too long for those who wait. */
  patienceWith(peer: PeerId): AbortSignal {
    return this.#candidates.get(peer)?.question?.signal ?? AbortSignal.abort()
  }

  /**
   * Adds a peer that was found, or seen again: news of it makes it worth asking at once. Returns the addresses that are news of
   * one that is being asked at others.
   */
  add({ peer, addresses, urgent, given = false }: FoundPeer): string[] {
    const known = this.#candidates.get(peer)
    if (known === undefined) {
      this.#makeRoom()
      this.#candidates.set(peer, {
        addresses: addresses.slice(0, maxAddressesPerPeer),
        rank: given ? 'given' : 'news',
        question: null,
        nextPatienceMs: firstPatienceMs,
        nextRetryMs: firstRetryMs,
        cancelTimer: () => {},
      })
      this.#enqueue(peer)
      return []
    }
    const before = new Set(known.addresses)
    known.addresses = [...new Set([...addresses, ...known.addresses])].slice(0, maxAddressesPerPeer)
    if (given) known.rank = 'given'
    const news = known.question === null ? [] : known.addresses.filter((address) => !before.has(address))
    if (!urgent) return news
    if (known.rank === 'silent') known.rank = 'news'
    known.nextRetryMs = firstRetryMs
    this.#enqueue(peer)
    return news
  }

  /** Ends the question to this peer: it was not the one, or not yet. */
  asked(peer: PeerId): void {
    const candidate = this.#candidates.get(peer)
    if (candidate === undefined || candidate.question === null) return
    candidate.cancelTimer()
    candidate.question = null
    this.#asking--
    if (candidate.rank === 'news') candidate.rank = 'silent'
    candidate.cancelTimer = this.#clock.after(candidate.nextRetryMs, () => this.#enqueue(peer))
    candidate.nextRetryMs = Math.min(longestRetryMs, candidate.nextRetryMs * 2)
    this.#askNext()
  }

  /** Stops asking anybody else for now. */
  pause(): void {
    this.#isPaused = true
    for (const candidate of this.#candidates.values()) candidate.cancelTimer()
  }

  resume(): void {
    this.#isPaused = false
    for (const peer of this.#candidates.keys()) this.#enqueue(peer)
  }

  close(): void {
    this.pause()
    for (const rank of ranks) this.#waiting[rank].clear()
  }

  #enqueue(peer: PeerId): void {
    const candidate = this.#candidates.get(peer)
    // A peer that is being asked comes again by itself.
    if (candidate === undefined || candidate.question !== null) return
    candidate.cancelTimer()
    this.#withdraw(peer)
    this.#waiting[candidate.rank].add(peer)
    this.#askNext()
  }

  #askNext(): void {
    while (!this.#isPaused && this.#asking < this.#options.maxAsking) {
      const peer = this.#firstWaiting()
      if (peer === undefined) return
      this.#withdraw(peer)
      const candidate = this.#candidates.get(peer)
      if (candidate === undefined || candidate.question !== null) continue
      const question = new AbortController()
      candidate.question = question
      this.#asking++
      this.#limit(candidate, question, candidate.nextPatienceMs)
      candidate.nextPatienceMs = Math.min(longestPatienceMs, candidate.nextPatienceMs * 2)
      this.#ask(peer)
    }
  }

  /** Checks, when the time is up and from then on, whether somebody waits for the place. */
  #limit(candidate: Candidate, question: AbortController, patienceMs: number): void {
    candidate.cancelTimer()
    candidate.cancelTimer = this.#clock.after(patienceMs, () => {
      if (this.#firstWaiting() !== undefined) question.abort()
      else this.#limit(candidate, question, firstPatienceMs)
    })
  }

  #firstWaiting(): PeerId | undefined {
    for (const rank of ranks) for (const peer of this.#waiting[rank]) return peer
    return undefined
  }

  #withdraw(peer: PeerId): void {
    for (const rank of ranks) this.#waiting[rank].delete(peer)
  }

  /** Drops silent peers first, then those that have waited for longest; never one that a person named. */
  #makeRoom(): void {
    if (this.#candidates.size < this.#options.maxPeers) return
    let dropped: PeerId | undefined
    for (const [peer, { rank, question }] of this.#candidates) {
      if (rank === 'given' || question !== null) continue
      dropped ??= peer
      if (rank === 'silent') {
        dropped = peer
        break
      }
    }
    if (dropped === undefined) return
    this.#candidates.get(dropped)?.cancelTimer()
    this.#candidates.delete(dropped)
    this.#withdraw(dropped)
  }
}
