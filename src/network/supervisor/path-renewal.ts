import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { isRelayed } from '../addresses/relayed-address.ts'
import { startDeadline } from '../deadline.ts'
import type { Session } from '../session/session.ts'
import type { SessionConnection } from '../transport/tls-connection.ts'
import type { DialingHost } from './connection-attempt.ts'

/** Device as far as the renewal of its path knows it. */
export interface RenewedPeer {
  readonly id: PeerId
  readonly presence: { look(): void } | null
  addresses(): readonly Multiaddr[]
  /** Opens a session over a better connection for new work. */
  moveTo(connection: SessionConnection, options: { signal: AbortSignal }): Promise<void>
}

export interface PathRenewalParts {
  host: Pick<DialingHost, 'dial'>
  clock: Clock
  log: Log
}

/**
 * Moves the session in use to a new connection before the relay ends the present one. Where that fails, the session goes on as
 * long as it may, and it is tried again.
 */
export class PathRenewal {
  readonly #peer: RenewedPeer
  readonly #parts: PathRenewalParts
  #lastMs = Number.NEGATIVE_INFINITY
  #cancel: () => void = () => {}

  constructor(peer: RenewedPeer, parts: PathRenewalParts) {
    this.#peer = peer
    this.#parts = parts
  }

  /** Watches the session now in use, in place of the one before. */
  watch(session: Session): void {
    this.stop()
    if (session.budget !== null) this.#look(session)
  }

  stop(): void {
    this.#cancel()
  }

  #look(session: Session): void {
    const { clock } = this.#parts
    const now = clock.monotonic()
    if (session.budget?.isRunningOut === true && now - this.#lastMs >= leastIntervalMs) {
      this.#lastMs = now
      void this.#renew()
    }
    this.#cancel = clock.after(lookMs, () => this.#look(session))
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    const { host, clock, log } = this.#parts
    const peer = this.#peer
    const deadline = startDeadline(timeoutMs, timedOut, { clock })
    try {
      const { signal } = deadline
      // A direct path is searched for elsewhere.
      const relayed = peer.addresses().filter(isRelayed)
      await peer.moveTo(await host.dial(peer.id, relayed, { signal }), { signal })
    } catch (error) {
      // The session goes on over the old one; when that ends, the device is dialled like any other.
      log('debug', 'session.not-renewed', { peer: peer.id, error: String(error) })
      peer.presence?.look()
    } finally {
      deadline.stop()
    }
  }
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'No other connection came up in time.')
}

const lookMs = 1_000
/** Shortest interval: four times a minute at most. */
const leastIntervalMs = 15_000
const timeoutMs = 10_000
