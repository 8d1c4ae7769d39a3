import type { Connection, Transport, Upgrader } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export type Role = 'dialer' | 'listener'

export interface SimultaneousDialOptions {
  localPort: number
  role: Role
  upgrader: Upgrader
  signal: AbortSignal
  /** Called when the TCP connection is open, before it is encrypted. */
  onOpen?: () => void
}

/** Dials at the same time as the other end; the role of each is settled by their ids, and told to the upgrader here. */
export function dialSimultaneously(
  transport: Transport,
  address: Multiaddr,
  { localPort, role, upgrader, signal, onOpen }: SimultaneousDialOptions,
): Promise<Connection> {
  const initiator = role === 'dialer'
  const withRole: Pick<Upgrader, 'upgradeOutbound'> = {
    upgradeOutbound(connection, options) {
      onOpen?.()
      connection.direction = initiator ? 'outbound' : 'inbound'
      return upgrader.upgradeOutbound(connection, { ...options, initiator })
    },
  }
  const options = {
    signal,
    localPort,
    upgrader: new Proxy(upgrader, {
      get: (target, name) => Reflect.get(name === 'upgradeOutbound' ? withRole : target, name) as unknown,
    }),
  }
  return transport.dial(address, options)
}
