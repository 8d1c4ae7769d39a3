import type { Clock } from '../api.ts'
import type { FoundPeer } from '../network/discovery/rendezvous.ts'

/** Peers being asked at the same moment; the others wait their turn. */
const maxAsking = 16
/** Whoever invents peers must not make us remember them all. */
const maxPeers = 256
const maxAddressesPerPeer = 16
/** A peer that gave no answer is asked again after this long, twice as long the next time, and so on. */
const firstRetryMs = 500
const longestRetryMs = 8_000

interface Candidate {
  addresses: string[]
  isAsked: boolean
  nextRetryMs: number
  cancelRetry: () => void
}

/** In which order, and how often, the peers that may be the right one are asked. */
export class CandidateQueue {
  readonly #clock: Clock
  readonly #ask: (peer: string) => void
  readonly #candidates = new Map<string, Candidate>()
  readonly #waiting = new Set<string>()
  #asking = 0
  #isPaused = false

  constructor(clock: Clock, ask: (peer: string) => void) {
    this.#clock = clock
    this.#ask = ask
  }

  all(): string[] {
    return [...this.#candidates.keys()]
  }

  addressesOf(peer: string): readonly string[] {
    return this.#candidates.get(peer)?.addresses ?? []
  }

  /** A peer was found, or seen again: news of it makes it worth asking at once. */
  add({ peer, addresses, urgent }: FoundPeer): void {
    const known = this.#candidates.get(peer)
    if (known === undefined) {
      this.#makeRoom()
      this.#candidates.set(peer, {
        addresses: addresses.slice(0, maxAddressesPerPeer),
        isAsked: false,
        nextRetryMs: firstRetryMs,
        cancelRetry: () => {},
      })
      this.#enqueue(peer)
      return
    }
    known.addresses = [...new Set([...addresses, ...known.addresses])].slice(0, maxAddressesPerPeer)
    if (!urgent) return
    known.nextRetryMs = firstRetryMs
    this.#enqueue(peer)
  }

  /** The question to this peer is over, and it was not the one, or not yet. */
  asked(peer: string): void {
    const candidate = this.#candidates.get(peer)
    if (candidate?.isAsked !== true) return
    candidate.isAsked = false
    this.#asking--
    candidate.cancelRetry()
    candidate.cancelRetry = this.#clock.after(candidate.nextRetryMs, () => this.#enqueue(peer))
    candidate.nextRetryMs = Math.min(longestRetryMs, candidate.nextRetryMs * 2)
    this.#askNext()
  }

  /** Nobody else is to be asked for now. */
  pause(): void {
    this.#isPaused = true
    for (const candidate of this.#candidates.values()) candidate.cancelRetry()
  }

  resume(): void {
    this.#isPaused = false
    for (const peer of this.#candidates.keys()) this.#enqueue(peer)
  }

  close(): void {
    this.pause()
    this.#waiting.clear()
  }

  #enqueue(peer: string): void {
    const candidate = this.#candidates.get(peer)
    if (candidate === undefined) return
    candidate.cancelRetry()
    // One that is being asked comes again by itself.
    if (!candidate.isAsked) this.#waiting.add(peer)
    this.#askNext()
  }

  #askNext(): void {
    for (const peer of this.#waiting) {
      if (this.#isPaused || this.#asking >= maxAsking) return
      this.#waiting.delete(peer)
      const candidate = this.#candidates.get(peer)
      if (candidate === undefined || candidate.isAsked) continue
      candidate.isAsked = true
      this.#asking++
      this.#ask(peer)
    }
  }

  #makeRoom(): void {
    if (this.#candidates.size < maxPeers) return
    for (const [peer, candidate] of this.#candidates) {
      if (candidate.isAsked) continue
      candidate.cancelRetry()
      this.#candidates.delete(peer)
      this.#waiting.delete(peer)
      return
    }
  }
}
