import type { CircuitRelayService } from '@libp2p/circuit-relay-v2'
import type { PeerId } from '@libp2p/interface'

/** Lifetime of a place that is never renewed, nearly the longest that a timer can have. */
export const placeLifetimeMs = 20 * 24 * 3_600_000

/**
 * Has a place that is about to be renewed last for as long as its connection. js-libp2p forgets to clear the timer of the first renewal, which
 * would end the place and the connections over it, however often it was renewed since.
 */
export function lastsAsItsConnection(relay: CircuitRelayService, peer: PeerId): void {
  const signal = relay.reservations.get(peer)?.signal
  if (signal === undefined) return
  signal.clear()
  signal.reset = () => {}
}

/** Removes the place of a device that is gone, which the relay itself would keep. */
export function giveUpPlace(relay: CircuitRelayService, peer: PeerId): void {
  relay.reservations.get(peer)?.signal.clear()
  relay.reservations.delete(peer)
}
