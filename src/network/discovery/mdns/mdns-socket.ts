import { createSocket } from 'node:dgram'
import type { RemoteInfo } from 'node:dgram'
import multicastDns from 'multicast-dns'
import type { UsableInterface } from '../../interfaces.ts'
import type { DecodedPacket, Packet } from './mdns-packets.ts'

export interface MulticastSocketOptions {
  interface: UsableInterface
  family: 'ipv4' | 'ipv6'
  port: number
  /** Called with every packet that parses as DNS; on most systems also with those from other interfaces. */
  onPacket: (packet: DecodedPacket, from: RemoteInfo) => void
  /** Called when opening or sending failed; the owner still has to close the socket. */
  onError: (error: Error) => void
}

export interface MulticastSocket {
  /** Multicasts on this interface. Never throws; failures come through onError. */
  send(packet: Packet): void
  /** Resolves when all packets have left and the socket is closed. */
  close(): Promise<void>
}

/**
 * Opens a socket that sends and receives multicast DNS on one interface and with one IP family, whatever the routing table says:
 * no default route is needed. It shares the port with other mDNS programs.
 */
export async function openMulticastSocket(options: MulticastSocketOptions): Promise<MulticastSocket> {
  const { family, port, onPacket, onError } = options
  const { group, through, wildcard } = targetOf(options.interface, family)
  const type = family === 'ipv4' ? 'udp4' : 'udp6'
  const socket = createSocket({ type, reuseAddr: true, ipv6Only: family === 'ipv6' })
  socket.on('error', onError)
  // multicast-dns adds encoding and decoding. Groups are joined here: it would do so in a timer, and on failure send through
  // whichever interface the routing table likes.
  const mdns = multicastDns({
    type,
    ip: group,
    interface: through,
    port,
    socket,
    bind: false,
    multicast: false,
  })
  mdns.on('error', () => {}) // the socket's own errors, reported above; without a listener they would be thrown
  let usable = false
  const sending = new Set<Promise<void>>()

  // The socket is bound to the wildcard: bound to the interface's own address, it gets no multicast on Linux and macOS.
  await new Promise<void>((resolve) => {
    socket.once('error', () => resolve())
    try {
      socket.bind({ address: wildcard, port }, join)
    } catch (error) {
      onError(asError(error))
      resolve()
    }
    function join(): void {
      try {
        socket.addMembership(group, through)
        socket.setMulticastInterface(through)
        socket.setMulticastTTL(255)
        socket.setMulticastLoopback(true)
        usable = true
      } catch (error) {
        onError(asError(error))
      }
      resolve()
    }
  })
  mdns.on('packet', onPacket)

  function send(packet: Packet): void {
    if (!usable) return
    const sent = new Promise<void>((resolve) => {
      const done = (error: Error | null | undefined): void => {
        if (error !== null && error !== undefined) onError(error)
        resolve()
      }
      const { questions = [], answers = [] } = packet
      if (packet.type === 'query') mdns.query({ ...packet, questions }, done)
      else mdns.respond({ ...packet, answers }, done)
    })
    sending.add(sent)
    void sent.finally(() => sending.delete(sent))
  }

  return {
    send,
    close: async () => {
      usable = false
      await Promise.all(sending)
      await new Promise<void>((resolve) => {
        mdns.destroy(resolve)
      })
    },
  }
}

function targetOf(
  { ipv4, zone }: UsableInterface,
  family: 'ipv4' | 'ipv6',
): { group: string; through: string; wildcard: string } {
  if (family === 'ipv6') return { group: 'ff02::fb', through: `::%${zone}`, wildcard: '::' }
  return { group: '224.0.0.251', through: ipv4[0] ?? '0.0.0.0', wildcard: '0.0.0.0' }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
