import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Connection, Transport } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp, type TCPComponents } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { createRendezvousServer } from '../../../src/network/relay/rendezvous-server.ts'
import { request } from '../../../src/network/request-response.ts'
import {
  simultaneousOpen,
  simultaneousOpenProtocol,
  type SimultaneousOpen,
} from '../../../src/network/relay/simultaneous-open.ts'
import { systemClock } from '../../../src/clock.ts'
import { until } from '../real-hosts.ts'

/**
 * Without NATs that drop what comes too early, a simultaneous open cannot be had on one machine: here both dials end in a
 * server that joins them. Real NATs are in test/lab.
 */
test('two devices that dial each other have one connection, with a part for each, that carries streams both ways', async (context) => {
  const { asker, other, relayed } = await pairOverRelay(context)
  for (const { libp2p } of [asker, other]) await libp2p.handle('/test/nothing', () => {})
  const direct = await asker.open.open(relayed, { signal: signal() })
  assert.equal(direct.remotePeer.toString(), other.libp2p.peerId.toString())
  assert.equal(direct.direction, 'outbound')
  assert.equal(direct.remoteAddr.toString().includes('p2p-circuit'), false)
  const mirror = (): Connection | undefined =>
    other.libp2p
      .getConnections()
      .find(({ remoteAddr }) => remoteAddr.toString().includes(asker.publicAddress))
  await until(() => mirror() !== undefined, 'the other end')
  assert.equal(mirror()?.direction, 'inbound')
  for (const connection of [direct, mirror()]) {
    assert.ok(connection !== undefined)
    // Both ways at once: stream ids of two diallers, or of two listeners, would collide.
    const streams = await Promise.all(
      [1, 2, 3].map(() => connection.newStream('/test/nothing', { signal: signal() })),
    )
    for (const stream of streams) stream.abort(new Error('that was all'))
  }
  assert.deepEqual(asker.dialled, [`${other.publicAddress} from 1001`])
  assert.deepEqual(other.dialled, [`${asker.publicAddress} from 1002`])
})

test('a peer that is not paired is told nothing', async (context) => {
  const { asker, other, relayed } = await pairOverRelay(context, { isAllowed: false })
  await assert.rejects(asker.open.open(relayed, { signal: signal() }), { code: 'interrupted' })
  assert.deepEqual([...asker.dialled, ...other.dialled], [])
})

test('without a public address of its own, or one of the same family, a device does not try', async (context) => {
  const { asker, other, relayed } = await pairOverRelay(context, { other: '/ip6/2001:db8::2/tcp/2002' })
  await assert.rejects(asker.open.open(relayed, { signal: signal() }), /no addresses that fit/u)
  assert.deepEqual([...asker.dialled, ...other.dialled], [])
  const { asker: hidden, relayed: second } = await pairOverRelay(context, { asker: null })
  await assert.rejects(hidden.open.open(second, { signal: signal() }), /no public address/u)
})

for (const [what, question] of [
  ['a start that was not agreed upon', { go: true }],
  ['a question of no known kind', { more: 1 }],
  [
    'more addresses than there may be',
    { addresses: Array.from({ length: 5 }, () => '/ip4/203.0.113.1/tcp/1') },
  ],
  ['no JSON', null],
] as const) {
  test(`${what} is met with silence`, async (context) => {
    const { other, relayed } = await pairOverRelay(context)
    const stream = await relayed.newStream(simultaneousOpenProtocol, {
      signal: signal(),
      runOnLimitedConnection: true,
    })
    const bytes = Buffer.from(question === null ? '{' : JSON.stringify(question))
    await assert.rejects(request(stream, bytes, { maxBytes: 4_096, signal: signal() }), {
      code: 'interrupted',
    })
    assert.deepEqual(other.dialled, [])
  })
}

for (const address of [
  '/ip4/169.254.169.254/tcp/80',
  '/dns4/example.org/tcp/80',
  '/ip4/203.0.113.1/tcp/80/http',
  '/ip4/203.0.113.1/udp/80',
  'nonsense',
]) {
  test(`an address that no device can have is not dialled: ${address}`, async (context) => {
    const { relayed } = await pairOverRelay(context)
    const stream = await relayed.newStream(simultaneousOpenProtocol, {
      signal: signal(),
      runOnLimitedConnection: true,
    })
    const bytes = Buffer.from(JSON.stringify({ addresses: [address] }))
    const answer = await request(stream, bytes, { maxBytes: 4_096, signal: signal() })
    assert.deepEqual(JSON.parse(Buffer.from(answer).toString()), { yours: null, mine: null })
  })
}

test('room to grow: what only a later version asks along is passed over', async (context) => {
  const { other, relayed } = await pairOverRelay(context)
  const stream = await relayed.newStream(simultaneousOpenProtocol, {
    signal: signal(),
    runOnLimitedConnection: true,
  })
  const question = { addresses: ['/ip4/203.0.113.1/tcp/80'], later: { than: 'this' } }
  const bytes = Buffer.from(JSON.stringify(question))
  const answer = await request(stream, bytes, { maxBytes: 4_096, signal: signal() })
  const { yours, mine } = JSON.parse(Buffer.from(answer).toString()) as Record<string, string>
  assert.deepEqual([yours, mine], ['/ip4/203.0.113.1/tcp/80', other.publicAddress])
})

const signal = (): AbortSignal => AbortSignal.timeout(10_000)

interface TestHost {
  libp2p: Awaited<ReturnType<typeof createLibp2p>>
  open: SimultaneousOpen
  publicAddress: string
  dialled: string[]
}

/** Two hosts that are connected over a relay; the asker is the one with the smaller peer id. */
async function pairOverRelay(
  context: TestContext,
  {
    isAllowed = true,
    asker = '/ip4/203.0.113.1/tcp/1001',
    other = '/ip4/203.0.113.2/tcp/1002',
  }: { isAllowed?: boolean; asker?: string | null; other?: string } = {},
): Promise<{ asker: TestHost; other: TestHost; relayed: Connection }> {
  const lo = process.platform === 'darwin' ? 'lo0' : 'lo'
  const relay = await createRendezvousServer({
    seed: randomBytes(32),
    port: 0,
    interfaces: [lo],
    agent: 'test',
  })
  context.after(() => relay.stop())
  const relayAddress = relay.addresses().find((address) => address.startsWith('/ip4/')) ?? ''
  const junction = await startJunction(context)

  async function host(): Promise<TestHost & { setPublic(address: string | null): void }> {
    let publicAddress: string | null = null
    const dialled: string[] = []
    let open: SimultaneousOpen | undefined
    const service = simultaneousOpen({
      ports: () =>
        publicAddress === null
          ? []
          : [{ port: Number(publicAddress.split('/').at(-1)), seenAs: multiaddr(publicAddress) }],
      freshPort: async () => Number(publicAddress?.split('/').at(-1)),
      isAllowed: () => isAllowed,
      clock: systemClock,
      log: () => {},
    })
    const libp2p = await createLibp2p({
      addresses: { listen: [`${relayAddress}/p2p-circuit`] },
      transports: [redirected(junction, dialled), circuitRelayTransport()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
      services: {
        identify: identify(),
        open: (components: Parameters<typeof service>[0]) => (open = service(components)),
      },
    })
    context.after(() => libp2p.stop())
    assert.ok(open !== undefined)
    return {
      libp2p,
      open,
      dialled,
      get publicAddress() {
        return publicAddress ?? ''
      },
      setPublic: (address) => (publicAddress = address),
    }
  }
  const hosts = await Promise.all([host(), host()])
  const [first, second] = hosts.sort((one, another) =>
    one.libp2p.peerId.toString() < another.libp2p.peerId.toString() ? -1 : 1,
  )
  assert.ok(first !== undefined && second !== undefined)
  first.setPublic(asker)
  second.setPublic(other)
  const address = multiaddr(`${relayAddress}/p2p-circuit/p2p/${second.libp2p.peerId.toString()}`)
  return { asker: first, other: second, relayed: await first.libp2p.dial(address, { signal: signal() }) }
}

/** TCP, but what is dialled from a chosen port goes to the junction. */
function redirected(junction: number, dialled: string[]): (components: TCPComponents) => Transport {
  return (components) => {
    const transport = tcp()(components)
    const dial = transport.dial.bind(transport)
    transport.dial = async (address, options) => {
      if (!('localPort' in options)) return dial(address, options)
      const { localPort, ...rest } = options
      const [target = '', peer = ''] = address.toString().split('/p2p/')
      dialled.push(`${target} from ${String(localPort)}`)
      // The first of two to call has to wait for the second, as its packet would be dropped by a NAT.
      const redirectedOptions = { ...rest, host: '127.0.0.1', port: junction }
      return dial(multiaddr(`${target}/p2p/${peer}`), redirectedOptions)
    }
    return transport
  }
}

/** Joins every two sockets that come. */
async function startJunction(context: TestContext): Promise<number> {
  let waiting: Socket | undefined
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    if (waiting === undefined) {
      waiting = socket.pause()
      return
    }
    socket.pipe(waiting).pipe(socket)
    waiting = undefined
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
