import type { Clock } from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { startDeadline } from '../network/deadline.ts'
import { findCandidates, type CandidateSource } from '../network/discovery/rendezvous.ts'
import type { Host } from '../network/host.ts'
import { Pace } from '../network/pace.ts'
import { CandidateQueue } from './candidate-queue.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Whoever invents peers must not have us dial without end: so many are known, and are dialled at a time, and a second. */
const maxPeers = 64
const maxDialling = 8
const dialPace = { everyMs: 100, inARow: 16 }
/** Beyond those, a peer's addresses are not dialled. */
const maxAddresses = 8
const dialTimeoutMs = 8_000
/** Connections that are kept until the last invitation has ended; beyond them, the oldest goes. */
const maxHeld = 128
/** And then for as long as a joiner repeats what it says: it may have no other way to hear how it ended. */
const lingerMs = 60_000

export interface OutreachOptions {
  host: Pick<Host, 'peerId' | 'connect'>
  clock: Clock
  /** These are dialled by somebody else. */
  isKeptConnected: (peer: PeerId) => boolean
  /** The connection to this peer is of no more use. */
  release: (peer: PeerId) => void
}

/**
 * While an invitation is open, the initiator connects to every peer that it sees: a joiner behind which the firewall is not
 * then asks over that connection, although its own dials get nowhere. Nothing is said over it, and nobody learns of a code.
 * One for all invitations.
 */
export class Outreach {
  readonly #options: OutreachOptions
  readonly #open = new Set<AbortSignal>()
  #queue: CandidateQueue | null = null
  readonly #held = new Set<PeerId>()
  readonly #pace = new Pace(dialPace)
  #ended = new AbortController()

  constructor(options: OutreachOptions) {
    this.#options = options
  }

  /** Until the signal aborts. */
  open(sources: readonly CandidateSource[], signal: AbortSignal): void {
    if (signal.aborted) return
    this.#queue ??= this.#start()
    const queue = this.#queue
    this.#open.add(signal)
    signal.addEventListener('abort', () => this.#close(signal), { once: true })
    findCandidates(sources, {
      signal,
      onCandidate: (found) => {
        const { host, isKeptConnected } = this.#options
        if (found.peer === host.peerId || isKeptConnected(found.peer)) return
        queue.add({ ...found, addresses: found.addresses.slice(0, maxAddresses) })
      },
      onStatus: () => {},
    })
  }

  #start(): CandidateQueue {
    const { clock } = this.#options
    this.#ended = new AbortController()
    const bounds = { maxAsking: maxDialling, maxPeers }
    const queue = new CandidateQueue(clock, (peer) => void this.#visit(queue, peer), bounds)
    return queue
  }

  #close(signal: AbortSignal): void {
    this.#open.delete(signal)
    if (this.#open.size > 0 || this.#queue === null) return
    this.#ended.abort()
    this.#queue.close()
    this.#queue = null
    const held = [...this.#held]
    this.#options.clock.after(lingerMs, () => {
      // Another invitation may have come; its own end gives them back then.
      if (this.#queue !== null) return
      for (const peer of held) if (this.#held.delete(peer)) this.#options.release(peer)
    })
  }

  /** Dials, or sees that the connection is still there; the queue comes back to it, ever less often. */
  async #visit(queue: CandidateQueue, peer: PeerId): Promise<void> {
    const { host, clock } = this.#options
    const signal = AbortSignal.any([this.#ended.signal, queue.patienceWith(peer)])
    const deadline = startDeadline(dialTimeoutMs, visitTimedOut, { signal, clock })
    try {
      await this.#turn(deadline.signal)
      if (deadline.signal.aborted) return
      await host.connect(peer, queue.addressesOf(peer), { signal: deadline.signal })
      if (this.#ended.signal.aborted) this.#options.release(peer)
      else this.#hold(peer)
    } catch {
      // Nobody is there, or not for us: what it came to is in the evidence of the dial.
    } finally {
      deadline.stop()
      queue.asked(peer)
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted && !this.#pace.take(clock.monotonic())) {
      await pause(clock, Math.max(1, this.#pace.freeAtMs - clock.monotonic()), signal)
    }
  }

  /** A connection may carry a pairing, so one is not given up because its peer made room for another in the queue. */
  #hold(peer: PeerId): void {
    this.#held.delete(peer) // to the end of the order
    this.#held.add(peer)
    const [oldest] = this.#held
    if (this.#held.size <= maxHeld || oldest === undefined) return
    this.#held.delete(oldest)
    this.#options.release(oldest)
  }
}

function visitTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The peer did not answer in time.')
}
