import type { Connection } from '@libp2p/interface'
import { SpacedockError } from '../errors.ts'
import { startDeadline } from '../network/deadline.ts'
import { request } from '../network/request-response.ts'
import {
  decodeMessage,
  encodeMessage,
  maxMessageLength,
  pairingVersion,
  type PairingMessage,
} from '../pairing/pairing-messages.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdOf } from '../libp2p-peer.ts'
import { Semaphore } from '../semaphore.ts'
import type { PairingComponents, PairingTransport } from './pairing-components.ts'

export const pairingProtocol = `/spacedock/pairing/${pairingVersion}.0.0`

/** Time for an exchange of ours: the other side answers within 5 s, or not at all. */
const exchangeTimeoutMs = 8_000
/** Time for a dial at addresses that were news: wrong ones must not keep the right ones of the next packet waiting for long. */
const reachTimeoutMs = 1_000
/** Time for a message that needs no answer: somebody waits for us to end meanwhile. */
const tellTimeoutMs = 3_000

/** Exchanges that this device opens: each is one message and its answer, over a connection that either side has made. */
export class PairingExchanges implements PairingTransport {
  readonly #components: PairingComponents
  /** Peers that are dialled at addresses that were news of them. */
  readonly #reaching = new Set<string>()
  /** Exchanges of joins, one with the same peer at a time. */
  readonly #inTurn = new Semaphore(1)
  /** Waits for a connection, by peer. */
  readonly #arrivals = new Map<string, Set<(connection: Connection) => void>>()

  constructor(components: PairingComponents) {
    this.#components = components
    components.host.onConnection((connection) => {
      if (connection.direction === 'inbound') this.#arrived(connection)
    })
  }

  /** Joins talk to the same peer one after the other, so that one gives way before it speaks again. */
  exchange(
    peer: PeerId,
    addresses: readonly string[],
    message: PairingMessage,
    signal: AbortSignal,
  ): Promise<PairingMessage | null> {
    return this.#inTurn.run(() => this.#send(peer, addresses, message, signal), { key: peer })
  }

  /** Never rejects. */
  async reachAlsoAt(peer: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<void> {
    // One such dial at a time: a peer that announces new addresses without end must not be dialled without end.
    if (!this.#arrivals.has(peer) || this.#reaching.has(peer)) return
    this.#reaching.add(peer)
    const { host, clock } = this.#components
    const deadline = startDeadline(reachTimeoutMs, exchangeTimedOut, { signal, clock })
    const connection = await host.connect(peer, addresses, { signal: deadline.signal }).catch(() => null)
    deadline.stop()
    this.#reaching.delete(peer)
    if (connection !== null) this.#arrived(connection)
  }

  async tell(peer: PeerId, message: PairingMessage): Promise<void> {
    const patience = startDeadline(tellTimeoutMs, exchangeTimedOut, this.#components)
    await this.#send(peer, [], message, patience.signal)
    patience.stop()
  }

  /** Sends one message on a stream of its own and brings the answer; null when there is none worth having. */
  async #send(
    peer: PeerId,
    addresses: readonly string[],
    message: PairingMessage,
    signal: AbortSignal,
  ): Promise<PairingMessage | null> {
    const { host, clock, log } = this.#components
    if (signal.aborted) return null
    const deadline = startDeadline(exchangeTimeoutMs, exchangeTimedOut, { signal, clock })
    const { signal: until } = deadline
    let connection: Connection | undefined
    try {
      connection = await this.#connect(peer, addresses, until)
      const stream = await host.openStream(connection, pairingProtocol, { signal: until })
      const options = { maxBytes: maxMessageLength, signal: until, clock }
      return decodeMessage(await request(stream, encodeMessage(message), options))
    } catch (error) {
      log('debug', 'pairing.no-answer', { peer, error: String(error) })
      // A dead connection would be used again and again; one that carries a session is watched by that.
      const isSilent = until.aborted && !signal.aborted
      if (isSilent && connection?.streams.length === 0) connection.abort(exchangeTimedOut())
      return null
    } finally {
      deadline.stop()
    }
  }

  /** Connects by a dial of ours, or by one of the other side: firewalls may let only one of the two through. */
  async #connect(peer: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    const { host, connections } = this.#components
    const { promise: arrival, resolve } = Promise.withResolvers<Connection>()
    const waiting = this.#arrivals.get(peer) ?? new Set()
    this.#arrivals.set(peer, waiting.add(resolve))
    const noLongerNeeded = new AbortController()
    const dial = host.connect(peer, [...addresses, ...connections.addressesOf(peer)], {
      signal: AbortSignal.any([signal, noLongerNeeded.signal]),
    })
    try {
      return await Promise.race([dial, arrival])
    } finally {
      noLongerNeeded.abort()
      dial.catch(() => {})
      waiting.delete(resolve)
      if (waiting.size === 0) this.#arrivals.delete(peer)
    }
  }

  #arrived(connection: Connection): void {
    for (const arrived of this.#arrivals.get(peerIdOf(connection.remotePeer)) ?? []) arrived(connection)
  }
}

function exchangeTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not answer in time.')
}
