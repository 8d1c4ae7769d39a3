import assert from 'node:assert/strict'
import type { Server, Socket } from 'node:net'
import { networkInterfaces, platform } from 'node:os'
import { test } from 'node:test'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Libp2p } from 'libp2p'
import { linkLocalTcp } from '../../src/network/link-local-tcp.ts'

const timeoutMs = 10_000
const loopback = Object.entries(networkInterfaces()).find(([, infos]) =>
  infos?.some(({ internal, family }) => internal && family === 'IPv6'),
)?.[0]
const skip = loopback === undefined || platform() === 'win32' ? 'needs ::1 on a named interface' : false

async function host(listen: string[], transport = linkLocalTcp()): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen },
    transports: [transport],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
  })
}

test('the zone of an address decides through which interface it is dialled', { skip }, async () => {
  const listener = await host(['/ip6/::1/tcp/0'])
  const dialer = await host([])
  try {
    const [address] = listener.getMultiaddrs()
    assert.ok(address)
    const through = (zone: string) =>
      dialer.dial(multiaddr(`/ip6zone/${zone}${address.toString()}`), {
        signal: AbortSignal.timeout(timeoutMs),
      })
    await assert.rejects(through('nosuch0'))
    const connection = await through(loopback ?? '')
    assert.equal(connection.remotePeer.toString(), listener.peerId.toString())
  } finally {
    await Promise.all([listener.stop(), dialer.stop()])
  }
})

test('a connection from a link-local address is accepted', { skip }, async () => {
  const listener = await host(['/ip6/::1/tcp/0'], (components) => {
    const transport = linkLocalTcp()(components)
    const createListener = transport.createListener.bind(transport)
    transport.createListener = (options) => {
      const made = createListener(options)
      const { server } = made as typeof made & { server: Server }
      // Loopback has no link-local address: the sockets are given the name that a cable's would have.
      server.prependListener('connection', (socket: Socket) => {
        Object.defineProperty(socket, 'remoteAddress', { value: 'fe80::1%eth0', configurable: true })
      })
      return made
    }
    return transport
  })
  const dialer = await host([])
  try {
    await dialer.dial(listener.getMultiaddrs(), { signal: AbortSignal.timeout(timeoutMs) })
    const [connection] = listener.getConnections()
    assert.match(connection?.remoteAddr.toString() ?? '', /^\/ip6\/fe80::1\/tcp\//)
  } finally {
    await Promise.all([listener.stop(), dialer.stop()])
  }
})
