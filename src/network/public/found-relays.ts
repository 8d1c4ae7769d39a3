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
import { limitFirstMessage } from '../answer-limit.ts'
import { isRelayedConnection } from '../relayed-address.ts'
import type { Places } from '../relay/relay-reservations.ts'
import { RelayWatch } from '../relay/relay-watch.ts'
import { takeCallsOnlyFrom } from '../relay/relayed-calls.ts'

export interface FoundRelaysOptions {
  places: () => Places
  clock: Clock
  log: Log
  onChange: () => void
}

interface FoundRelaysComponents {
  events: TypedEventTarget<Libp2pEvents>
  registrar: Registrar
}

/** A node that was met and says that it is a relay. */
interface Candidate {
  peerId: PeerId
  connection: Connection
  /** How it sees this end of the connection. */
  observed: Multiaddr | undefined
}

/**
 * Holds places at a few relays among the nodes that a host meets: any that says that it is one will do, since none is trusted.
 * One that refuses, falls silent or goes is replaced by another.
 */
export class FoundRelays implements Startable {
  readonly #components: FoundRelaysComponents
  readonly #options: FoundRelaysOptions
  readonly #watch: RelayWatch
  readonly #candidates = new Map<string, Candidate>()
  readonly #held = new Map<string, Candidate>()
  /** Asked for a place at this moment. */
  readonly #asked = new Set<string>()
  /** Refused, until when. */
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
    await takeCallsOnlyFrom(this.#components.registrar, (peer) => this.#held.has(peer))
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

  /** Whether there are as many places as wanted. */
  get isFull(): boolean {
    return this.#held.size >= wantedPlaces
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { connection, peerId, protocols, observedAddr } = detail
    const isUsable = connection.direction === 'outbound' && !isRelayedConnection(connection)
    if (!isUsable || !protocols.includes(RELAY_V2_HOP_CODEC)) return
    const peer = peerId.toString()
    // It may say again and again who it is, over this connection or another.
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

  /** One in another network than those that are held, where there is one: who has many addresses in one has few in all. */
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

  /** Never rejects. */
  async #take(candidate: Candidate): Promise<void> {
    const { places, clock, log, onChange } = this.#options
    const { peerId, connection } = candidate
    const relay = peerId.toString()
    this.#asked.add(relay)
    try {
      await places().addRelay(peerId, 'configured')
    } catch (error) {
      log('debug', 'public-relay.no-place', { relay, error: String(error) })
      this.#refuse(relay, clock)
      this.#asked.delete(relay)
      return this.#fill()
    }
    this.#asked.delete(relay)
    if (this.#stop.signal.aborted || connection.status !== 'open') return this.#fill()
    this.#held.set(relay, candidate)
    log('info', 'public-relay.place-taken', { relay })
    onChange()
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.#stop.signal])
    const lost = (): void => over.abort()
    connection.addEventListener('close', lost, { once: true })
    // A place that could not be renewed is lost while the connection lives.
    const onRemoved = (event: Event): void => {
      const removed = event as CustomEvent<{ relay: PeerId }>
      if (removed.detail.relay.equals(peerId)) lost()
    }
    places().addEventListener('relay:removed', onRemoved)
    await this.#watch.watch(connection, signal)
    places().removeEventListener('relay:removed', onRemoved)
    if (this.#held.get(relay) !== candidate) return undefined
    this.#held.delete(relay)
    this.#refuse(relay, clock)
    log('info', 'public-relay.place-lost', { relay })
    onChange()
    return this.#fill()
  }

  #refuse(relay: string, clock: Clock): void {
    const [oldest] = this.#refused.keys()
    if (this.#refused.size >= maxCandidates && oldest !== undefined) this.#refused.delete(oldest)
    this.#refused.set(relay, clock.monotonic() + refusedMs)
  }
}

/** One that goes leaves two; more would be more places than a device needs of others. */
const wantedPlaces = 3
const maxCandidates = 64
const refusedMs = 600_000
/** Some hundred addresses: a relay says its own. */
const maxAnswerBytes = 16_384

/** `20.3` of 20.3.4.5, the first 32 bits of an IPv6 address. */
function networkOf(candidate: Candidate | undefined): string | undefined {
  const [host] = candidate?.connection.remoteAddr.getComponents() ?? []
  return host?.value?.split(/[.:]/u).slice(0, 2).join()
}
