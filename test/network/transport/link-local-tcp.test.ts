import assert from 'node:assert/strict'
import type { Server, Socket } from 'node:net'
import { networkInterfaces, platform } from 'node:os'
import { test } from 'node:test'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Libp2p } from 'libp2p'
import { linkLocalTcp } from '../../../src/network/transport/link-local-tcp.ts'

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

test('a link-local address is dialled through the interface of its zone', { skip }, async () => {
  const dialer = await host([])
  try {
    const nobody = multiaddr(`/ip6zone/${loopback}/ip6/fe80::1/tcp/1`)
    // Nobody listens there; the error tells what was tried.
    await assert.rejects(dialer.dial(nobody, { signal: AbortSignal.timeout(timeoutMs) }), (error: Error) =>
      error.message.includes(`fe80::1%${loopback}:1`),
    )
  } finally {
    await dialer.stop()
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
    const opened = new Promise<string>((resolve) => {
      listener.addEventListener('connection:open', ({ detail }) => resolve(detail.remoteAddr.toString()))
    })
    await dialer.dial(listener.getMultiaddrs(), { signal: AbortSignal.timeout(timeoutMs) })
    assert.match(await opened, /^\/ip6\/fe80::1\/tcp\//)
  } finally {
    await Promise.all([listener.stop(), dialer.stop()])
  }
})
