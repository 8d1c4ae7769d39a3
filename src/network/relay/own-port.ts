import type { Connection, Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { withoutPeer, type MappedPort } from '../addresses/mapped-ports.ts'
import { chooseRandomPort } from '../transport/listen-port.ts'

/** Local ports of connections that were dialled from a port of our choice. */
export class OwnPorts {
  readonly #ports = new WeakMap<Connection, number>()

  /** Returns undefined for an inbound connection, or one dialled from an ephemeral port. */
  portOf(connection: Connection): number | undefined {
    return this.#ports.get(connection)
  }

  /**
   * TCP transport that dials these addresses from a port of its own each time. Because the port was chosen, another connection
   * can be opened from it later (SO_REUSEADDR, which Node sets on sockets that are bound to a port), and a NAT with
   * endpoint-independent mapping lets that one appear under the address that the first one had.
   */
  transport<Components>(
    create: (components: Components) => Transport,
    isWanted: (address: Multiaddr) => boolean,
  ): (components: Components) => Transport {
    return (components) => {
      const transport = create(components)
      const dial = transport.dial.bind(transport)
      transport.dial = async (address, options) => {
        if ('localPort' in options || !isWanted(address)) return dial(address, options)
        const localPort = await chooseRandomPort()
        // The transport spreads these options over those of `net.connect`. Port 0 is any.
        const bound = { ...options, localPort }
        const connection = await dial(address, bound)
        if (localPort > 0) this.#ports.set(connection, localPort)
        return connection
      }
      return transport
    }
  }
}

/** Returns the mappings of this device's ports, as the peers that it has dialled report them. */
export function mappedPortsOf(
  dialled: readonly { connection: Connection; observed: Multiaddr | undefined }[],
  ownPorts: OwnPorts,
): MappedPort[] {
  return dialled.flatMap(({ connection, observed }) => {
    const port = ownPorts.portOf(connection)
    const seenAs = observed === undefined ? null : withoutPeer(observed)
    return port === undefined || seenAs === null ? [] : [{ port, seenAs, seenBy: connection.remoteAddr }]
  })
}
