import type { Connection } from '@libp2p/interface'
import { CODE_P2P_CIRCUIT, type Multiaddr } from '@multiformats/multiaddr'

/** Whether this address leads over a relay. */
export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ code }) => code === CODE_P2P_CIRCUIT)
}

/** Whether the connection runs over a relay. */
export function isRelayedConnection(connection: Pick<Connection, 'remoteAddr'>): boolean {
  return isRelayed(connection.remoteAddr)
}
