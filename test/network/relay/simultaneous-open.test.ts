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

test('of several pairs of ports that open at once, one is kept on both sides', async (context) => {
  const { asker, other, relayed } = await pairOverRelay(context, { freshPorts: 8 })
  const direct = await asker.open.open(relayed, { signal: signal() })
  assert.equal(direct.status, 'open')
  await until(() => directOf(other).length === 1 && directOf(asker).length === 1, 'one connection')
  assert.deepEqual(directOf(asker), [direct])
  await direct.newStream('/ipfs/id/1.0.0', { signal: signal() })
  // The asker has stopped as soon as one had opened.
  assert.equal(other.dialled.length, 8)
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

const end = { host: '/ip4/203.0.113.1', ports: [1], kind: 'certain' }
for (const [what, question] of [
  ['a start that was not agreed upon', { go: 1 }],
  ['a measurement before anything was agreed upon', { ready: true }],
  ['a question of no known kind', { more: 1 }],
  ['more ends than there may be', { ends: Array.from({ length: 5 }, () => end) }],
  ['more ports than there may be', { ends: [{ ...end, ports: [1, 2, 3, 4, 5, 6, 7, 8, 9] }] }],
  ['an end without a port', { ends: [{ ...end, ports: [] }] }],
  ['a port that is none', { ends: [{ ...end, ports: [65_536] }] }],
  ['no JSON', null],
] as const) {
  test(`${what} is met with silence`, async (context) => {
    const { other, relayed } = await pairOverRelay(context)
    await assert.rejects(ask(relayed, question), { code: 'interrupted' })
    assert.deepEqual(other.dialled, [])
  })
}

for (const host of [
  '/ip4/169.254.169.254',
  '/ip4/203.0.113.1/tcp/80',
  '/ip4/203.0.113.1/tcp/80/http',
  '/dns4/example.org',
  '/ip4/203.0.113.1/udp/80',
  'nonsense',
]) {
  test(`a host at which no device can be is not dialled: ${host}`, async (context) => {
    const { relayed } = await pairOverRelay(context)
    assert.deepEqual(await ask(relayed, { ends: [{ ...end, host }] }), { yours: null, mine: null })
  })
}

test('room to grow: what only a later version asks along is passed over', async (context) => {
  const { other, relayed } = await pairOverRelay(context)
  const later = { later: { than: 'this' } }
  const ends = [
    { ...end, kind: 'later' },
    { ...end, ...later },
  ]
  const { yours, mine } = (await ask(relayed, { ends, ...later })) as Record<string, unknown>
  const [, , host = '', , port] = other.publicAddress.split('/')
  assert.deepEqual([yours, mine], [1, { host: `/ip4/${host}`, ports: [Number(port)], kind: 'certain' }])
})

async function ask(relayed: Connection, question: object | null): Promise<unknown> {
  const stream = await relayed.newStream(simultaneousOpenProtocol, {
    signal: signal(),
    runOnLimitedConnection: true,
  })
  const bytes = Buffer.from(question === null ? '{' : JSON.stringify(question))
  const answer = await request(stream, bytes, { maxBytes: 4_096, signal: signal() })
  return JSON.parse(Buffer.from(answer).toString())
}

function directOf({ libp2p }: TestHost): Connection[] {
  return libp2p
    .getConnections()
    .filter(({ remoteAddr }) => remoteAddr.toString().startsWith('/ip4/203.0.113.'))
}

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
    freshPorts = 1,
  }: { isAllowed?: boolean; asker?: string | null; other?: string; freshPorts?: number } = {},
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
  const junctions = new Map<string, Promise<number>>()
  const junctionOf = (one: string, another: string): Promise<number> => {
    const key = [one, another].sort().join()
    const port = junctions.get(key) ?? startJunction(context)
    junctions.set(key, port)
    return port
  }

  async function host(): Promise<TestHost & { setPublic(address: string | null): void }> {
    let publicAddress: string | null = null
    const dialled: string[] = []
    let open: SimultaneousOpen | undefined
    let fresh = 0
    const service = simultaneousOpen({
      ports: () =>
        publicAddress === null
          ? []
          : [
              {
                port: Number(publicAddress.split('/').at(-1)),
                seenAs: multiaddr(publicAddress),
                seenBy: multiaddr(relayAddress),
              },
            ],
      freshPort: async () => Number(publicAddress?.split('/').at(-1)) + (fresh++ % freshPorts),
      peers: { isPaired: () => isAllowed },
      // However slow this machine is, the way is a short one.
      clock: { ...systemClock, monotonic: () => 0 },
      log: () => {},
    })
    const libp2p = await createLibp2p({
      addresses: { listen: [`${relayAddress}/p2p-circuit`] },
      transports: [
        redirected((port, target) => {
          dialled.push(`${target} from ${port}`)
          return junctionOf(target, (publicAddress ?? '').replace(/\d+$/u, String(port)))
        }),
        circuitRelayTransport(),
      ],
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

/** TCP, but what is dialled from a chosen port goes to a junction. */
function redirected(
  junctionOf: (localPort: number, target: string) => Promise<number>,
): (components: TCPComponents) => Transport {
  return (components) => {
    const transport = tcp()(components)
    const dial = transport.dial.bind(transport)
    transport.dial = async (address, options) => {
      if (!('localPort' in options)) return dial(address, options)
      const { localPort, ...rest } = options
      const [target = '', peer = ''] = address.toString().split('/p2p/')
      const junction = await junctionOf(Number(localPort), target)
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
