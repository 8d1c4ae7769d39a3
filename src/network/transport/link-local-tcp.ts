import { tcp } from '@libp2p/tcp'
import type { TCPComponents, TCPOptions } from '@libp2p/tcp'
import type { Transport } from '@libp2p/interface'
import type { Server, Socket } from 'node:net'
import { networkOfIp } from '../addresses/network-of.ts'
import type { FirstBytes } from './first-bytes.ts'

/** Takes sockets that are not for libp2p, by their first byte. */
export interface OtherSockets {
  /** Reads the first byte of each socket. */
  readonly firstBytes: FirstBytes
  readonly firstByte: number
  accept(socket: Socket): void
}

/**
 * libp2p's TCP transport, made to work with IPv6 link-local addresses, which are all that two computers on one cable
 * may have. It drops the zone of `/ip6zone/eth0/ip6/fe80::1/tcp/4001`, so that the system would dial through any
 * interface, and refuses connections from link-local addresses, because it cannot write down a zone.
 */
export function linkLocalTcp(
  init: TCPOptions = {},
  others?: OtherSockets,
): (components: TCPComponents) => Transport {
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
      if (others !== undefined) sortSockets(server, others)
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

/** Hands those sockets to others that begin with their byte, and to libp2p all the rest: both are dialled at one port. */
function sortSockets(server: Server, others: OtherSockets): void {
  const ownListeners = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const network = networkOfIp(socket.remoteAddress ?? '')
    others.firstBytes.read(socket, network, (byte) => {
      if (byte === others.firstByte) others.accept(socket)
      else if (server.listening) for (const listener of ownListeners) listener.call(server, socket)
      else socket.destroy()
    })
  })
}
