import {
  circuitRelayTransport,
  type CircuitRelayTransportComponents,
  type CircuitRelayTransportInit,
} from '@libp2p/circuit-relay-v2'
import type { PeerData, PeerId, PeerStore, TagOptions, Transport } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { pause } from '../../clock.ts'

/** Places at relays, for a device or a throwaway host. */
export interface Reservations {
  /** Asks the relay for a place. Rejects when it grants none. */
  reserve(relay: PeerId): Promise<void>
  /** Renews the place until the signal aborts, or the relay does not renew it. Never rejects. */
  keep(relay: PeerId, signal: AbortSignal): Promise<void>
}

/**
 * Makes libp2p's relay transport, with reservations that are renewed by running time. A relay says when a place ends as a date:
 * libp2p takes the difference to its own date for the time that is left, so a clock that is behind keeps a place for too long,
 * one that was set back never renews it, and one that is ahead gets none at all.
 */
export function relayTransport(
  init: CircuitRelayTransportInit,
): (components: CircuitRelayTransportComponents) => Transport {
  const create = circuitRelayTransport(init)
  return (components) => {
    const peerStore = withEndlessTags(components.peerStore)
    return create(
      new Proxy(components, {
        get: (target, name) => (name === 'peerStore' ? peerStore : Reflect.get(target, name)),
      }),
    )
  }
}

/** Returns the reservations of a transport that `relayTransport` made. */
export function reservationsOf(transport: Transport, clock: Clock): Reservations {
  return new RunningTimeReservations(storeOf(transport), clock)
}

/**
 * Returns after how long a place is renewed: half the time that seems to be left, but for an end that only a wrong clock explains,
 * and never later than any known relay takes a place away.
 * @param expire - end of the place as the relay says it, in seconds since 1970
 */
export function renewAfterMs(expire: bigint | undefined, wallMs: number): number {
  const leftMs = expire === undefined ? 0 : Number(expire) * 1_000 - wallMs
  if (leftMs <= 0) return longestMs
  return Math.min(Math.max(leftMs / 2, shortestMs), longestMs)
}

const shortestMs = 30_000
/** Half of the hour that relays of go-libp2p and rust-libp2p grant. */
const longestMs = 30 * 60_000

class RunningTimeReservations implements Reservations {
  readonly #store: Libp2pReservations
  readonly #clock: Clock

  constructor(store: Libp2pReservations, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  async reserve(relay: PeerId): Promise<void> {
    const { details } = await this.#store.addRelay(relay, 'configured')
    // libp2p's own renewal, at a time by the wall clock.
    clearTimeout(details.timeout)
  }

  async keep(relay: PeerId, signal: AbortSignal): Promise<void> {
    for (;;) {
      const expire = this.#store.getReservation(relay)?.expire
      await pause(this.#clock, renewAfterMs(expire, this.#clock.wall()), signal)
      if (signal.aborted) return
      try {
        await this.#renew(relay)
      } catch {
        return
      }
    }
  }

  async #renew(relay: PeerId): Promise<void> {
    const held = this.#store.getReservation(relay)
    // libp2p asks for nothing while a place seems to last for some time yet.
    if (held !== undefined) held.expire = 0n
    await this.reserve(relay)
  }
}

/** The part of libp2p's reservation store that is used. */
interface Libp2pReservations {
  addRelay(
    relay: PeerId,
    type: 'configured',
  ): Promise<{ details: { timeout: ReturnType<typeof setTimeout> } }>
  getReservation(relay: PeerId): { expire: bigint } | undefined
}

/** Returns the reservation store, which the transport's type does not show although it is public. */
function storeOf(transport: Transport): Libp2pReservations {
  const store = 'reservationStore' in transport ? transport.reservationStore : undefined
  if (typeof store !== 'object' || store === null || !('addRelay' in store)) {
    throw new TypeError('a relay transport without reservations')
  }
  return store as Libp2pReservations
}

/**
 * Tags without an end. libp2p ends a relay's tag with the place: a place that seems to be over would be a tag that it refuses, and
 * the reservation would fail. It removes the tag itself when the place is gone.
 */
function withEndlessTags(peerStore: PeerStore): PeerStore {
  const merge: PeerStore['merge'] = (peer, data, options) =>
    peerStore.merge(peer, data.tags === undefined ? data : { ...data, tags: endless(data.tags) }, options)
  return new Proxy(peerStore, {
    get: (target, name) => {
      if (name === 'merge') return merge
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

type Tags = NonNullable<PeerData['tags']>

function endless(tags: Tags): Tags {
  const entries = tags instanceof Map ? [...tags] : Object.entries(tags)
  return Object.fromEntries(entries.map(([name, tag]) => [name, withoutEnd(tag)]))
}

function withoutEnd(tag: TagOptions | undefined): TagOptions | undefined {
  if (tag === undefined) return undefined
  const { ttl: _, ...kept } = tag
  return kept
}
