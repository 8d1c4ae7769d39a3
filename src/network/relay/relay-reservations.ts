import { addAbortListener } from 'node:events'
import { RELAY_V2_HOP_CODEC, type CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import type {
  Connection,
  IdentifyResult,
  Libp2pEvents,
  PeerId,
  Startable,
  Transport,
  TypedEventTarget,
} from '@libp2p/interface'
import type { AddressManager, Registrar } from '@libp2p/interface-internal'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { pause } from '../../clock.ts'
import { Backoff } from '../backoff.ts'
import type { KnownPeers } from '../known-peers.ts'
import { isRelayedConnection } from '../addresses/relayed-address.ts'
import { proveAccess, relayAccessProtocol } from './relay-access.ts'
import { RelayWatch } from './relay-watch.ts'
import { takeCallsOnlyFrom } from './relayed-calls.ts'
import { relayTransport, type Reservations, reservationsOf } from './reservations.ts'

export interface RelayClientOptions {
  /** Relays to reserve at. */
  peers: Pick<KnownPeers, 'isRelay'>
  /** Secret of a relay, 16 bytes; null for one that has none. */
  secretOf: (peer: string) => Uint8Array | null
  clock: Clock
  log: Log
  /** Returns a random number in [0, 1). @default Math.random */
  random?: () => number
}

export interface RelayClient {
  /** Transport that dials over relays, and accepts inbound connections over ours. */
  transport: (components: CircuitRelayTransportComponents) => Transport
  /** Service that keeps the reservations at our relays. */
  service: (components: RelayReservationsComponents) => RelayReservations
}

/** Client side of circuit relay. RendezvousNodes connects to our relays; each connection gets a reservation. */
export function relayClient(options: RelayClientOptions): RelayClient {
  let reservations: Reservations | undefined
  return {
    transport: (components) => {
      const transport = relayTransport({ reservationConcurrency: 8, discoveryFilter: none })(components)
      reservations = reservationsOf(transport, options.clock)
      return transport
    },
    service: (components) => {
      if (reservations === undefined) throw new Error('the host has no relay transport')
      return new RelayReservations(components, options, reservations)
    },
  }
}

/** Empty search: relays are chosen, not discovered, so the transport must take every peer for one that it has tried already. */
const none = { has: () => true, add: () => {}, remove: () => {} }

interface RelayReservationsComponents {
  events: TypedEventTarget<Libp2pEvents>
  registrar: Registrar
  addressManager: AddressManager
  peerId: PeerId
}

/** Reservation at a relay. */
export interface Reservation {
  /** Peer id of the relay, base58btc. */
  relay: string
  connection: Connection
  /** Address of this device over the relay; ends in /p2p-circuit. */
  address: Multiaddr
  /** Address of this end as the relay sees it: behind a NAT, that of the NAT. */
  observed: Multiaddr | undefined
}

/**
 * Holds a reservation at every connected relay, and watches the connection: a silent relay is disconnected within half a minute,
 * and the address over it is withdrawn. libp2p tells connected peers about a change of addresses, and its event
 * `self:peer:update` tells the program.
 */
export class RelayReservations implements Startable {
  readonly #components: RelayReservationsComponents
  readonly #options: RelayClientOptions
  readonly #reservations: Reservations
  readonly #held = new Map<string, Reservation>()
  /** Addresses of this end as relays see it, with a reservation or without. */
  readonly #seenAs = new Map<Connection, Multiaddr | undefined>()
  readonly #watch: RelayWatch
  readonly #running = new Set<Promise<unknown>>()
  /** Relays, of those configured, that have refused the secret. */
  readonly #refused = new Set<string>()
  #stop = new AbortController()

  constructor(
    components: RelayReservationsComponents,
    options: RelayClientOptions,
    reservations: Reservations,
  ) {
    this.#components = components
    this.#options = options
    this.#reservations = reservations
    this.#watch = new RelayWatch(options.clock)
  }

  /** Checks all connections: one from an address that is gone looks as if nothing had happened. */
  networkChanged(): void {
    this.#watch.networkChanged()
  }

  held(): Reservation[] {
    return [...this.#held.values()]
  }

  /** Connections to relays, those without a reservation included. */
  dialled(): { connection: Connection; observed: Multiaddr | undefined }[] {
    return [...this.#seenAs].map(([connection, observed]) => ({ connection, observed }))
  }

  start(): void {
    this.#stop = new AbortController()
    this.#components.events.addEventListener('connection:open', this.#onOpen)
  }

  async afterStart(): Promise<void> {
    await takeCallsOnlyFrom(this.#components.registrar, this.#options.peers)
  }

  async stop(): Promise<void> {
    this.#components.events.removeEventListener('connection:open', this.#onOpen)
    this.#stop.abort()
    await Promise.all(this.#running)
  }

  readonly #onOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    if (!this.#options.peers.isRelay(connection.remotePeer.toString())) return
    if (connection.direction !== 'outbound' || isRelayedConnection(connection)) return
    const closed = new AbortController()
    connection.addEventListener('close', () => closed.abort(), { once: true })
    const signal = AbortSignal.any([closed.signal, this.#stop.signal])
    // The watch starts before the reservation: a node that falls silent before it is a relay would be kept for ever.
    const running = Promise.all([this.#watch.watch(connection, signal), this.#hold(connection, signal)])
    this.#running.add(running)
    void running.finally(() => this.#running.delete(running))
  }

  /** Holds a place whenever the relay grants one, for as long as the connection lives. Never rejects. */
  async #hold(connection: Connection, signal: AbortSignal): Promise<void> {
    const identity = await this.#identified(connection, signal)
    if (identity === null) return connection.abort(new Error('the relay does not say what it is'))
    if (signal.aborted) return
    this.#seenAs.set(connection, identity.observedAddr)
    addAbortListener(signal, () => this.#seenAs.delete(connection))
    if (!identity.protocols.includes(RELAY_V2_HOP_CODEC)) return
    const asksProof = identity.protocols.includes(relayAccessProtocol)
    while (!signal.aborted) {
      await this.#reserveUntilDone(connection, { asksProof, signal })
      if (!signal.aborted) await this.#holdPlace(connection, { observed: identity.observedAddr, signal })
    }
  }

  /** Announces the address over the relay until the place is lost. */
  async #holdPlace(
    connection: Connection,
    { observed, signal }: { observed: Multiaddr | undefined; signal: AbortSignal },
  ): Promise<void> {
    const { log } = this.#options
    const { addressManager } = this.#components
    const relay = connection.remotePeer.toString()
    const address = multiaddr(`${connection.remoteAddr.toString()}/p2p-circuit`)
    this.#held.set(relay, { relay, connection, address, observed })
    addressManager.confirmObservedAddr(address, { type: 'observed' })
    log('info', 'relay.reserved', { relay })
    await this.#reservations.keep(connection.remotePeer, signal)
    // Another connection to the relay may have replaced this one, with the same address.
    if (this.#held.get(relay)?.connection !== connection) return
    this.#held.delete(relay)
    addressManager.removeObservedAddr(address)
    log('info', 'relay.reservation-lost', { relay })
  }

  /** Resolves with the result of libp2p's identify; null when there is none. */
  #identified(connection: Connection, signal: AbortSignal): Promise<IdentifyResult | null> {
    const { events } = this.#components
    return new Promise((resolve) => {
      const done = (result: IdentifyResult | null): void => {
        cancel()
        events.removeEventListener('peer:identify', onIdentify)
        listening[Symbol.dispose]()
        resolve(result)
      }
      const onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
        if (detail.connection === connection) done(detail)
      }
      const onAbort = (): void => done(null)
      const cancel = this.#options.clock.after(identifyMs, onAbort)
      events.addEventListener('peer:identify', onIdentify)
      const listening = addAbortListener(signal, onAbort)
    })
  }

  /** Proves the relay's secret, if there is one. Rejects when the relay does not know it. */
  async #prove(connection: Connection, signal: AbortSignal): Promise<void> {
    const { clock, log, secretOf } = this.#options
    const relay = connection.remotePeer.toString()
    const secret = secretOf(relay)
    if (secret === null) return
    if (await proveAccess(connection, { secret, self: this.#components.peerId, signal, clock })) return
    if (!this.#refused.has(relay)) log('warn', 'relay.secret-refused', { relay })
    this.#refused.add(relay)
    throw new Error('the relay does not take the secret of its address')
  }

  /** Asks for a reservation until there is room, or the connection is gone. */
  async #reserveUntilDone(
    connection: Connection,
    { asksProof, signal }: { asksProof: boolean; signal: AbortSignal },
  ): Promise<void> {
    const { clock, log, random } = this.#options
    const backoff = new Backoff(random)
    while (!signal.aborted) {
      try {
        if (asksProof) await this.#prove(connection, signal)
        await this.#reservations.reserve(connection.remotePeer)
        return
      } catch (error) {
        log('debug', 'relay.not-reserved', { relay: connection.remotePeer.toString(), error: String(error) })
        await pause(clock, backoff.next(), signal)
      }
    }
  }
}

const identifyMs = 10_000
