import { RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Registrar } from '@libp2p/interface-internal'
import type { KnownPeers } from '../known-peers.ts'

/**
 * Accepts relayed connections over chosen relays only. libp2p would request a reservation at any peer that brings one, and
 * announce the address: anybody could make a host do that. To be called after the relay transport has been started.
 */
export async function takeCallsOnlyFrom(
  registrar: Registrar,
  peers: Pick<KnownPeers, 'isRelay'>,
): Promise<void> {
  const { handler, options } = registrar.getHandler(RELAY_V2_STOP_CODEC)
  await registrar.handle(
    RELAY_V2_STOP_CODEC,
    (stream, connection) => {
      if (peers.isRelay(connection.remotePeer.toString())) return handler(stream, connection)
      return stream.abort(new Error('not a relay of this host'))
    },
    { ...options, force: true },
  )
}
