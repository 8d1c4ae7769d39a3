import { addAbortListener } from 'node:events'
import type { Clock } from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { startDeadline } from '../network/deadline.ts'
import {
  findCandidates,
  type CandidateSource,
  type FoundPeer,
} from '../network/discovery/candidate-sources.ts'
import type { Host } from '../network/host/host.ts'
import { TokenBucket } from '../network/token-bucket.ts'
import type { DeviceRegistry } from '../store/device-registry.ts'
import { CandidateQueue } from './candidate-queue.ts'
import type { PairingConnections } from './pairing-components.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Numbers of peers known, and dialled at a time, and a second: bounded because anybody can invent peers. */
const maxPeers = 64
const maxDialling = 8
const dialPace = { everyMs: 100, inARow: 16 }
/** Number of a peer's addresses that are dialled. */
const maxAddresses = 8
const dialTimeoutMs = 8_000
/** Number of connections kept until the last invitation has ended; beyond it, the oldest goes. */
const maxHeld = 128
/**
 * Time that they are kept after it, for as long as a joiner repeats its messages: it may have no other way to hear how it ended.
 */
const lingerMs = 60_000

export interface OutreachParts {
  host: Pick<Host, 'peerId' | 'connect'>
  clock: Clock
  wanted: WantedPeers
  registry: Pick<DeviceRegistry, 'get'>
  connections: Pick<PairingConnections, 'release'>
}

/** Paired devices, which are kept connected anyway. */
export interface WantedPeers {
  isWanted(peer: PeerId): boolean
}

/**
 * Connects the initiator to every peer that it sees while an invitation is open: a joiner behind which the firewall is not then
 * asks over that connection, although its own dials get nowhere. Nothing is said over it, and nobody learns of a code. One for
 * all invitations.
 */
export class Outreach {
  readonly #parts: OutreachParts
  readonly #open = new Set<AbortSignal>()
  #queue: CandidateQueue | null = null
  readonly #held = new Set<PeerId>()
  readonly #pace = new TokenBucket(dialPace)
  #ended = new AbortController()

  constructor(parts: OutreachParts) {
    this.#parts = parts
  }

  /** Connects to the peers of these sources until the signal aborts. */
  open(sources: readonly CandidateSource[], signal: AbortSignal): void {
    if (signal.aborted) return
    this.#queue ??= this.#start()
    const queue = this.#queue
    this.#open.add(signal)
    addAbortListener(signal, () => this.#close(signal))
    findCandidates(sources, {
      signal,
      onCandidate: (found) => {
        const { host, wanted } = this.#parts
        if (found.peer === host.peerId) return
        // Paired devices have sessions, over which nobody joins when they run over TLS: those who seem to hold the code are dialled.
        if (wanted.isWanted(found.peer) && isAnybodys(found)) return
        queue.add({ ...found, addresses: found.addresses.slice(0, maxAddresses) })
      },
      onStatus: () => {},
    })
  }

  #start(): CandidateQueue {
    const { clock } = this.#parts
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
    this.#parts.clock.after(lingerMs, () => {
      // Another invitation may have come; its own end gives them back then.
      if (this.#queue !== null) return
      for (const peer of held) if (this.#held.delete(peer)) this.#release(peer)
    })
  }

  /** Dials, or sees that the connection is still there; the queue comes back to it, ever less often. */
  async #visit(queue: CandidateQueue, peer: PeerId): Promise<void> {
    const { host, clock } = this.#parts
    const signal = AbortSignal.any([this.#ended.signal, queue.patienceWith(peer)])
    const deadline = startDeadline(dialTimeoutMs, visitTimedOut, { signal, clock })
    try {
      // A holder of the code is not kept waiting by those whom anybody can invent.
      if (!queue.isMarked(peer)) await this.#turn(deadline.signal)
      if (deadline.signal.aborted) return
      await host.connect(peer, queue.addressesOf(peer), { signal: deadline.signal })
      if (this.#ended.signal.aborted) this.#release(peer)
      else this.#hold(peer)
    } catch {
      // A failed dial leaves its result in the evidence.
    } finally {
      deadline.stop()
      queue.asked(peer)
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    while (!signal.aborted && !this.#pace.take(clock.monotonic())) {
      await pause(clock, Math.max(1, this.#pace.freeAtMs - clock.monotonic()), signal)
    }
  }

  /** Holds a connection, which may carry a pairing, even when its peer made room for another in the queue. */
  #hold(peer: PeerId): void {
    this.#held.delete(peer) // moves it to the end of the order
    this.#held.add(peer)
    const [oldest] = this.#held
    if (this.#held.size <= maxHeld || oldest === undefined) return
    this.#held.delete(oldest)
    this.#release(oldest)
  }

  /** Gives the connection back, unless it carries a pairing that somebody else began. */
  #release(peer: PeerId): void {
    const { registry, connections } = this.#parts
    if (registry.get(peer)?.state !== 'pairing') connections.release(peer)
  }
}

/** Whether anybody can have said this, whether or not he holds the code. */
function isAnybodys({ sender, marked = false }: FoundPeer): boolean {
  return sender !== undefined && !marked
}

function visitTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The peer did not answer in time.')
}
