import { tcp } from '@libp2p/tcp'
import type { TCPComponents, TCPOptions } from '@libp2p/tcp'
import type { Transport } from '@libp2p/interface'
import type { Server, Socket } from 'node:net'

/**
 * libp2p's TCP transport, made to work with IPv6 link-local addresses, which are all that two computers on one cable
 * may have. It drops the zone of `/ip6zone/eth0/ip6/fe80::1/tcp/4001`, so that the system would dial through any
 * interface, and refuses connections from link-local addresses, because it cannot write down a zone.
 */
export function linkLocalTcp(init: TCPOptions = {}): (components: TCPComponents) => Transport {
  return (components) => {
    const transport = tcp(init)(components)
    const dial = transport.dial.bind(transport)
    const createListener = transport.createListener.bind(transport)
    transport.dial = async (address, options) => {
      const [zone, ip] = address.getComponents()
      if (zone?.name !== 'ip6zone' || ip?.name !== 'ip6') return dial(address, options)
      // The transport spreads these options over those of `net.connect`.
      const scoped = { ...options, host: `${ip.value}%${zone.value}` }
      return dial(address, scoped)
    }
    transport.createListener = (options) => {
      const listener = createListener(options)
      const { server } = listener as typeof listener & { server: Server }
      server.prependListener('connection', hideZone)
      return listener
    }
    return transport
  }
}

/** Hides the zone from the transport; the socket itself keeps it, where it is needed. */
function hideZone(socket: Socket): void {
  const [address, zone] = socket.remoteAddress?.split('%') ?? []
  if (zone !== undefined) Object.defineProperty(socket, 'remoteAddress', { value: address })
}
