import type { Libp2pEvents, MultiaddrConnection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { TypedEventTarget } from 'main-event'
import type { Clock } from '../../api.ts'
import type { KnownPeers } from '../known-peers.ts'
import { InboundTurns } from './inbound-turns.ts'
import { StrangerLimits, type StrangerLimitsOptions } from './stranger-limits.ts'

export interface InboundGateOptions {
  /** Peers that are no strangers. */
  peers: Pick<KnownPeers, 'isPaired' | 'isPairing'>
  limits: GateLimits
  clock: Clock
}

export interface GateLimits {
  /** Handshakes of inbound connections. */
  handshakes: { everyMs: number; inARow: number }
  strangers: StrangerLimitsOptions['places']
  /** Time that a stranger's connection is kept without a stream. */
  strangerIdleMs: number
}

interface GateComponents {
  events: TypedEventTarget<Libp2pEvents>
}

/**
 * Says who gets in, in place of libp2p's own limits: those count paired devices and strangers together, refuse newcomers where they
 * should end what is idle, and know no addresses. `libp2pLimits` switches them off.
 */
export class InboundGate {
  readonly #turns: InboundTurns
  readonly #strangers: StrangerLimits

  constructor({ peers, limits, clock }: InboundGateOptions) {
    this.#turns = new InboundTurns({ pace: limits.handshakes, clock })
    this.#strangers = new StrangerLimits({
      peers,
      places: limits.strangers,
      idleMs: limits.strangerIdleMs,
      clock,
    })
  }

  /** Hook of libp2p's `connectionGater`: whether the connection is refused, as soon as it is its turn. */
  readonly denyInboundConnection = async ({ remoteAddr }: MultiaddrConnection): Promise<boolean> =>
    !(await this.#turns.turn(remoteAddr))

  /** Resolves when it is this connection's turn, of those that libp2p does not see: whether it may go on. */
  turn(address: Multiaddr): Promise<boolean> {
    return this.#turns.turn(address)
  }

  /** Part of libp2p, as one of its services. */
  readonly service = ({ events }: GateComponents): this => {
    events.addEventListener('connection:open', ({ detail }) => this.#strangers.opened(detail))
    return this
  }

  /** Does nothing: libp2p stops only what it can start. */
  start(): void {}

  stop(): void {
    this.#turns.stop()
    this.#strangers.stop()
  }
}

/** Options of libp2p's connection manager with which it leaves inbound connections to the gate. */
export const libp2pLimits = {
  maxConnections: Number.MAX_SAFE_INTEGER,
  inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
  maxIncomingPendingConnections: Number.MAX_SAFE_INTEGER,
}

/** Limits of a device: a household, and whoever pairs with it. */
export const deviceGate: GateLimits = {
  handshakes: { everyMs: 30, inARow: 64 },
  strangers: { inAll: 128, perNetwork: 32 },
  strangerIdleMs: 60_000,
}
