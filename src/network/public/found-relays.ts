import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type {
  Connection,
  IdentifyResult,
  Libp2pEvents,
  PeerId,
  Startable,
  TypedEventTarget,
} from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { limitFirstMessage } from '../dht/answer-limit.ts'
import { isRelayedConnection } from '../addresses/relayed-address.ts'
import type { Reservations } from '../relay/reservations.ts'
import { RelayWatch } from '../relay/relay-watch.ts'
import { takeCallsOnlyFrom } from '../relay/relayed-calls.ts'

export interface FoundRelaysOptions {
  reservations: () => Reservations
  clock: Clock
  log: Log
  onChange: () => void
}

interface FoundRelaysComponents {
  events: TypedEventTarget<Libp2pEvents>
  registrar: Registrar
}

/** Connected node that offers itself as a relay. */
interface Candidate {
  peerId: PeerId
  connection: Connection
  /** Address of this end as the node sees it. */
  observed: Multiaddr | undefined
}

/**
 * Holds reservations at a few relays among the nodes that a host meets: any that offers itself will do, since none is trusted. A
 * relay that refuses, falls silent or goes is replaced by another.
 */
export class FoundRelays implements Startable {
  readonly #components: FoundRelaysComponents
  readonly #options: FoundRelaysOptions
  readonly #watch: RelayWatch
  readonly #candidates = new Map<string, Candidate>()
  readonly #held = new Map<string, Candidate>()
  /** Relays with a reservation request under way. */
  readonly #asked = new Set<string>()
  /** End of each relay's exclusion after a refusal; monotonic ms. */
  readonly #refused = new Map<string, number>()
  #stop = new AbortController()

  constructor(components: FoundRelaysComponents, options: FoundRelaysOptions) {
    this.#components = components
    this.#options = options
    this.#watch = new RelayWatch(options.clock)
  }

  start(): void {
    this.#stop = new AbortController()
    this.#components.events.addEventListener('peer:identify', this.#onIdentify)
  }

  async afterStart(): Promise<void> {
    this.#components.registrar.use(RELAY_V2_HOP_CODEC, [limitFirstMessage(maxAnswerBytes)])
    await takeCallsOnlyFrom(this.#components.registrar, this)
  }

  /** Whether this relay is one of those found, so that calls over it are taken. */
  isRelay(peer: string): boolean {
    return this.#held.has(peer)
  }

  stop(): void {
    this.#components.events.removeEventListener('peer:identify', this.#onIdentify)
    this.#stop.abort()
    this.#candidates.clear()
    this.#held.clear()
  }

  networkChanged(): void {
    this.#watch.networkChanged()
  }

  held(): { relay: string; connection: Connection; observed: Multiaddr | undefined }[] {
    return [...this.#held].map(([relay, { connection, observed }]) => ({ relay, connection, observed }))
  }

  /** Whether there are as many reservations as wanted. */
  get isFull(): boolean {
    return this.#held.size >= wantedPlaces
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { connection, peerId, protocols, observedAddr } = detail
    const isUsable = connection.direction === 'outbound' && !isRelayedConnection(connection)
    if (!isUsable || !protocols.includes(RELAY_V2_HOP_CODEC)) return
    const peer = peerId.toString()
    // A node may identify itself again and again, over this connection or another.
    if (this.#candidates.has(peer) || this.#candidates.size >= maxCandidates) return
    this.#candidates.set(peer, { peerId, connection, observed: observedAddr })
    connection.addEventListener('close', () => this.#gone(peer), { once: true })
    this.#fill()
  }

  #gone(peer: string): void {
    this.#candidates.delete(peer)
    this.#fill()
  }

  #fill(): void {
    while (!this.#stop.signal.aborted && this.#held.size + this.#asked.size < wantedPlaces) {
      const next = this.#next()
      if (next === undefined) return
      void this.#take(next)
    }
  }

  /**
   * Chooses a candidate, if possible in another network than the relays held: an operator with many addresses in one network has
   * few in all.
   */
  #next(): Candidate | undefined {
    const nowMs = this.#options.clock.monotonic()
    for (const [peer, untilMs] of this.#refused) if (untilMs <= nowMs) this.#refused.delete(peer)
    const free = [...this.#candidates].filter(
      ([peer]) => !this.#held.has(peer) && !this.#asked.has(peer) && !this.#refused.has(peer),
    )
    const used = new Set(
      [...this.#held.keys(), ...this.#asked].map((peer) => networkOf(this.#candidates.get(peer))),
    )
    return (free.find(([, candidate]) => !used.has(networkOf(candidate))) ?? free[0])?.[1]
  }

  /** Reserves at a relay and watches over it. Never rejects. */
  async #take(candidate: Candidate): Promise<void> {
    const { reservations, clock, log, onChange } = this.#options
    const { peerId, connection } = candidate
    const relay = peerId.toString()
    this.#asked.add(relay)
    try {
      await reservations().reserve(peerId)
    } catch (error) {
      log('debug', 'public-relay.not-reserved', { relay, error: String(error) })
      this.#refuse(relay, clock)
      this.#asked.delete(relay)
      return this.#fill()
    }
    this.#asked.delete(relay)
    if (this.#stop.signal.aborted || connection.status !== 'open') return this.#fill()
    this.#held.set(relay, candidate)
    log('info', 'public-relay.reserved', { relay })
    onChange()
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.#stop.signal])
    const lost = (): void => over.abort()
    connection.addEventListener('close', lost, { once: true })
    // A place that is not renewed is lost while the connection lives.
    void reservations().keep(peerId, signal).then(lost)
    await this.#watch.watch(connection, signal)
    if (this.#held.get(relay) !== candidate) return undefined
    this.#held.delete(relay)
    this.#refuse(relay, clock)
    log('info', 'public-relay.reservation-lost', { relay })
    onChange()
    return this.#fill()
  }

  #refuse(relay: string, clock: Clock): void {
    const [oldest] = this.#refused.keys()
    if (this.#refused.size >= maxCandidates && oldest !== undefined) this.#refused.delete(oldest)
    this.#refused.set(relay, clock.monotonic() + refusedMs)
  }
}

/** Number of reservations: losing one leaves two, and more would burden others without need. */
const wantedPlaces = 3
const maxCandidates = 64
const refusedMs = 600_000
/** Limit of an identify answer: some hundred addresses, since a relay tells its own. */
const maxAnswerBytes = 16_384

/** Returns `20.3` of 20.3.4.5, the first 32 bits of an IPv6 address. */
function networkOf(candidate: Candidate | undefined): string | undefined {
  const [host] = candidate?.connection.remoteAddr.getComponents() ?? []
  return host?.value?.split(/[.:]/u).slice(0, 2).join()
}
