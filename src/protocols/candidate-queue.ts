import type { Clock } from '../api.ts'
import type { FoundPeer } from '../network/discovery/candidate-sources.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { PeerSenders } from './peer-senders.ts'
import { isAnybodys, WaitingPeers, type Rank, type Turn } from './waiting-peers.ts'

export interface CandidateQueueOptions {
  /** Number of peers asked at the same moment; the others wait their turn. @default 64 */
  maxAsking?: number
  /** Number of peers remembered, bounded because anybody can invent peers. @default 1_024 */
  maxPeers?: number
}

const maxAddressesPerPeer = 16
/** Number of peers that anybody can have named which are asked beside one that only a holder of the code can have named. */
const maxAskingBesideMarked = 4
/** Wait before a silent peer is asked again; doubled each time. */
const firstRetryMs = 500
const longestRetryMs = 8_000
/** Time that a peer has for its answer while others wait, doubled each time. Alone, it has all the time. */
const firstPatienceMs = 500
const longestPatienceMs = 8_000

interface Candidate {
  addresses: readonly string[]
  rank: Rank
  question: Question | null
  nextPatienceMs: number
  nextRetryMs: number
  cancelTimer: () => void
}

/** Question in progress, and the sender whose turn was used for it. */
interface Question {
  readonly sender: string
  readonly abort: AbortController
}

/** Order, and frequency, in which the peers that may be the right one are asked. */
export class CandidateQueue {
  readonly #clock: Clock
  readonly #ask: (peer: PeerId) => void
  readonly #candidates = new Map<PeerId, Candidate>()
  readonly #named = new PeerSenders()
  readonly #waiting = new WaitingPeers()
  /** Peers that are being asked, those for longest first. */
  readonly #asking = new Set<PeerId>()
  /** Number of them by the sender whose turn was used. */
  readonly #places = new Map<string, number>()
  readonly #options: Required<CandidateQueueOptions>
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

  /** Whether only a holder of the code can have named the peer. */
  isMarked(peer: PeerId): boolean {
    return this.#candidates.get(peer)?.rank === 'marked'
  }

  /** Aborts when the question to this peer has taken too long for those who wait. */
  patienceWith(peer: PeerId): AbortSignal {
    return this.#candidates.get(peer)?.question?.abort.signal ?? AbortSignal.abort()
  }

  /**
   * Adds a peer that was found, or seen again: news of it makes it worth asking at once. Returns the addresses that are news of
   * one that is being asked at others.
   */
  add(found: FoundPeer): string[] {
    const { peer, addresses, urgent, given = false, marked = false, sender = '' } = found
    const rank: Rank = marked ? 'marked' : given ? 'given' : 'news'
    const known = this.#candidates.get(peer)
    if (known === undefined) {
      this.#makeRoom()
      this.#candidates.set(peer, {
        addresses: addresses.slice(0, maxAddressesPerPeer),
        rank,
        question: null,
        nextPatienceMs: firstPatienceMs,
        nextRetryMs: firstRetryMs,
        cancelTimer: () => {},
      })
      this.#named.add(sender, peer)
      this.#enqueue(peer)
      return []
    }
    // What anybody says of a peer that a holder of the code has named is not even looked at.
    if (known.rank === 'marked' && rank === 'news') return []
    this.#named.add(sender, peer)
    const news = learnAddresses(known, addresses, rank)
    if (!urgent) return news
    known.nextRetryMs = firstRetryMs
    this.#enqueue(peer)
    return news
  }

  /** Ends the question to this peer: it was not the one, or not yet. */
  asked(peer: PeerId): void {
    const candidate = this.#candidates.get(peer)
    if (candidate === undefined || candidate.question === null) return
    candidate.cancelTimer()
    this.#countPlace(candidate.question.sender, -1)
    candidate.question = null
    this.#asking.delete(peer)
    if (candidate.rank === 'news') candidate.rank = 'silent'
    candidate.cancelTimer = this.#clock.after(candidate.nextRetryMs, () => this.#enqueue(peer))
    candidate.nextRetryMs = Math.min(longestRetryMs, Math.max(firstRetryMs, candidate.nextRetryMs * 2))
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
    this.#waiting.clear()
  }

  #enqueue(peer: PeerId): void {
    const candidate = this.#candidates.get(peer)
    // A peer that is being asked comes again by itself.
    if (candidate === undefined || candidate.question !== null) return
    candidate.cancelTimer()
    const senders = this.#named.sendersOf(peer)
    this.#waiting.delete(peer, senders)
    this.#waiting.add(peer, candidate.rank, senders)
    this.#askNext()
  }

  #askNext(): void {
    while (!this.#isPaused) {
      const turn = this.#waiting.first(this.#places)
      if (turn === undefined) return
      const { peer, rank, sender } = turn
      const candidate = this.#candidates.get(peer)
      if (this.#asking.size >= this.#options.maxAsking) {
        this.#claimPlace(turn)
        return
      }
      if (isAnybodys(rank) && this.#asking.size >= maxAskingBesideMarked && this.#isMarkedAsked()) return
      this.#waiting.delete(peer, this.#named.sendersOf(peer))
      this.#waiting.served(sender)
      if (candidate === undefined || candidate.question !== null) continue
      const question = { sender, abort: new AbortController() }
      candidate.question = question
      this.#asking.add(peer)
      this.#countPlace(sender, 1)
      this.#limit(candidate, question, candidate.nextPatienceMs)
      candidate.nextPatienceMs = Math.min(longestPatienceMs, candidate.nextPatienceMs * 2)
      this.#ask(peer)
    }
  }

  /** Checks, when the time is up and from then on, whether somebody of the same or a better rank waits for the place. */
  #limit(candidate: Candidate, question: Question, patienceMs: number): void {
    candidate.cancelTimer()
    candidate.cancelTimer = this.#clock.after(patienceMs, () => {
      if (this.#waiting.hasAny(candidate.rank)) question.abort.abort()
      else this.#limit(candidate, question, firstPatienceMs)
    })
  }

  /**
   * Ends a question so that its place becomes free for one that must not wait: of whoever was named by anybody, for a peer that was
   * not; else of the sender that has the most places, for one that has less than half as many.
   */
  #claimPlace({ sender, rank }: Turn): void {
    const questions = [...this.#asking].flatMap((peer) => {
      const { question = null, rank: of } = this.#candidates.get(peer) ?? { rank: 'silent' }
      return question === null ? [] : [{ ...question, rank: of }]
    })
    // One place at a time: it is taken as soon as the question has ended.
    if (questions.some(({ abort }) => abort.signal.aborted)) return
    const lent = questions.filter((each) => isAnybodys(each.rank))
    if (!isAnybodys(rank)) lent[0]?.abort.abort()
    if (rank !== 'news') return
    const most = Math.max(0, ...lent.map((each) => this.#places.get(each.sender) ?? 0))
    if ((this.#places.get(sender) ?? 0) * 2 >= most) return
    lent.find((each) => this.#places.get(each.sender) === most)?.abort.abort()
  }

  #isMarkedAsked(): boolean {
    return [...this.#asking].some((peer) => this.isMarked(peer))
  }

  #countPlace(sender: string, change: 1 | -1): void {
    const count = (this.#places.get(sender) ?? 0) + change
    if (count === 0) this.#places.delete(sender)
    else this.#places.set(sender, count)
  }

  /**
   * Drops a peer of the sender that has named the most: a silent one, or the one that has waited for longest; never one that a
   * person or a holder of the code named.
   */
  #makeRoom(): void {
    if (this.#candidates.size < this.#options.maxPeers) return
    for (const peers of this.#named.fullestFirst()) {
      let dropped: PeerId | undefined
      for (const peer of peers) {
        const candidate = this.#candidates.get(peer)
        if (candidate === undefined || candidate.question !== null) continue
        if (candidate.rank === 'silent') {
          dropped = peer
          break
        }
        if (candidate.rank === 'news') dropped ??= peer
      }
      if (dropped === undefined) continue
      this.#candidates.get(dropped)?.cancelTimer()
      this.#candidates.delete(dropped)
      this.#waiting.delete(dropped, this.#named.sendersOf(dropped))
      this.#named.delete(dropped)
      return
    }
  }
}

/** Adds what was found to what is known of a peer; returns what is news of one that is being asked. */
function learnAddresses(known: Candidate, addresses: readonly string[], rank: Rank): string[] {
  const before = new Set(known.addresses)
  // The addresses of others are of no more use once a holder of the code has said where the peer is.
  const isFirstMark = rank === 'marked' && known.rank !== 'marked'
  const kept = isFirstMark && known.rank !== 'given' ? [] : known.addresses
  known.addresses = [...new Set([...addresses, ...kept])].slice(0, maxAddressesPerPeer)
  if (rank === 'marked' || known.rank === 'silent' || (rank === 'given' && known.rank !== 'marked'))
    known.rank = rank
  const news = known.question === null ? [] : known.addresses.filter((address) => !before.has(address))
  if (!isFirstMark || news.length === 0) return news
  // Asked at addresses that may be anybody's invention: asked anew instead, at the right ones.
  known.nextRetryMs = 0
  known.question?.abort.abort()
  return []
}
