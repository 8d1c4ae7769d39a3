import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { once } from 'node:events'
import type { Connection, IdentifyResult } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createHost } from '../../../src/network/host/create-host.ts'
import type { Host, NetworkHost } from '../../../src/network/host/host.ts'
import type { RelayAdmission } from '../../../src/network/relay/relay-access.ts'
import type { RelayLimits } from '../../../src/network/relay/relay-limits.ts'
import { RendezvousNodes } from '../../../src/network/relay/rendezvous-nodes.ts'
import {
  createRendezvousServer,
  type RendezvousServer,
} from '../../../src/network/relay/rendezvous-server.ts'
import { systemClock } from '../../../src/clock.ts'
import { foreignHost, until, within } from '../real-hosts.ts'

const loopback = [process.platform === 'darwin' ? 'lo0' : 'lo']
const signal = (): AbortSignal => AbortSignal.timeout(10_000)

test('a device with a reservation at a relay has an address over it, and can be called there', async (context) => {
  const relay = await server(context)
  const alice = await device(context, [relay.address])
  const bob = await device(context, [])
  await until(() => relayed(alice).length > 0, 'a reservation at the relay')
  assert.deepEqual(relayed(alice), [`${relay.address}/p2p-circuit/p2p/${alice.peerId}`])
  const connection = await call(bob, alice)
  assert.equal(connection.remotePeer.toString(), alice.peerId)
  assert.equal(connection.limits, undefined, 'sessions may last')
  assert.deepEqual(relay.usage(), { reservations: 1, relayedConnections: 1, peers: 2 })
})

test('the reservation of a device that has gone is free again, and so is its connections’', async (context) => {
  const relay = await server(context)
  const alice = await device(context, [relay.address])
  const bob = await device(context, [])
  await until(() => relayed(alice).length > 0, 'a reservation at the relay')
  await call(bob, alice)
  await alice.close()
  await until(() => relay.usage().reservations === 0, 'the reservation is free')
  await until(() => relay.usage().relayedConnections === 0, 'the connection has ended')
})

test('a relay that dies is withdrawn; the others stay, and it is used again when it is back', async (context) => {
  const [first, second] = await Promise.all([server(context), server(context)])
  const alice = await device(context, [first.address, second.address])
  const changes: number[] = []
  alice.libp2p.addEventListener('self:peer:update', () => changes.push(relayed(alice).length))
  await until(() => relayed(alice).length === 2, 'reservations at both relays')
  await first.stop()
  await until(() => relayed(alice).length === 1 && changes.at(-1) === 1, 'the address is withdrawn')
  assert.ok(relayed(alice)[0]?.startsWith(second.address))
  const port = Number(/\/tcp\/(\d+)/u.exec(first.address)?.[1])
  const again = await server(context, { seed: first.seed, port })
  assert.equal(again.address, first.address, 'a restart changes nothing')
  await until(() => relayed(alice).length === 2 && changes.at(-1) === 2, 'reservations at both relays again')
})

test('who brings a call without being a relay of the device is not heard, and not announced', async (context) => {
  const relay = await server(context)
  const alice = await device(context, [relay.address])
  const bob = await device(context, [])
  await until(() => relayed(alice).length > 0, 'a reservation at the relay')
  const connection = await bob.dial(alice.peerId, ipv4(alice), { signal: signal() })
  const stream = await connection.newStream('/libp2p/circuit/relay/0.2.0/stop', { signal: signal() })
  let answers = 0
  stream.addEventListener('message', () => answers++)
  // It may have been reset already.
  if (stream.status === 'open') stream.send(stopConnect(bob))
  await until(() => stream.status !== 'open', 'the stream is reset')
  assert.equal(answers, 0)
  assert.equal(relayed(alice).length, 1)
})

test('a node with no places is no relay for anybody', async (context) => {
  const relay = await server(context, { relay: { reservations: 0 } })
  const client = await foreignHost()
  context.after(() => client.stop())
  const identified = once(client, 'peer:identify')
  await client.dial(multiaddr(relay.address))
  const [event] = (await identified) as [CustomEvent<IdentifyResult>]
  assert.ok(event.detail.protocols.length > 0)
  assert.ok(!event.detail.protocols.some((protocol) => /circuit\/relay|relay-access/u.test(protocol)))
})

test('behind one address there is room for so many devices only', async (context) => {
  const relay = await server(context, { relay: { reservationsPerAddress: 2 } })
  const devices = [await device(context, [relay.address]), await device(context, [relay.address])]
  await until(() => devices.every((one) => relayed(one).length > 0), 'two reservations')
  const third = await device(context, [relay.address])
  await until(() => third.refusals() > 0, 'the third is refused')
  assert.equal(relay.usage().reservations, 2)
  await devices[0]?.close()
  await until(() => relayed(third).length > 0, 'the third gets the reservation')
})

test('threat 46: a relay with a secret has places for those who prove it, and calls for everybody', async (context) => {
  const secret = randomBytes(16)
  const relay = await server(context, { admission: { kind: 'secret', secret } })
  const [alice, without, wrong] = [
    await device(context, [relay.address], { secret }),
    await device(context, [relay.address]),
    await device(context, [relay.address], { secret: randomBytes(16) }),
  ]
  await until(() => relayed(alice).length > 0, 'a place for the one that knows it')
  await until(() => without.refusals() > 0 && wrong.refusals() > 0, 'none for the others')
  assert.equal(relay.usage().reservations, 1)
  const stranger = await device(context, [])
  assert.equal((await call(stranger, alice)).remotePeer.toString(), alice.peerId)
})

test('threat 46: a relay for certain devices has places for these, whatever the others prove', async (context) => {
  const seed = randomBytes(32)
  const known = await device(context, [], { seed })
  await known.close()
  const relay = await server(context, { admission: { kind: 'only', peers: new Set([known.peerId]) } })
  const [alice, other] = [
    await device(context, [relay.address], { seed }),
    await device(context, [relay.address], { secret: randomBytes(16) }),
  ]
  await until(() => relayed(alice).length > 0, 'a place for the one that is listed')
  await until(() => other.refusals() > 0, 'none for another')
})

test('devices that know the secret share no limit because they share an address', async (context) => {
  const secret = randomBytes(16)
  const limits = { reservationsPerAddress: 1 }
  const relay = await server(context, { admission: { kind: 'secret', secret }, relay: limits })
  const devices = [
    await device(context, [relay.address], { secret }),
    await device(context, [relay.address], { secret }),
  ]
  await until(() => devices.every((one) => relayed(one).length > 0), 'two places')
})

test('threat 42: strangers do not put out a device that has proved the secret, or that is named', async (context) => {
  const [seed, secret] = [randomBytes(32), randomBytes(16)]
  const named = await device(context, [], { seed })
  await named.close()
  const admissions: RelayAdmission[] = [
    { kind: 'secret', secret },
    { kind: 'only', peers: new Set([named.peerId]) },
  ]
  for (const admission of admissions) {
    const relay = await server(context, { admission, maxConnections: 1 })
    const alice = await device(context, [relay.address], { seed, secret })
    await until(() => relayed(alice).length > 0, 'a place for the own device')
    const [connection] = alice.libp2p.getConnections()
    const [first, second] = [await device(context, []), await device(context, [])]
    const peer = relay.peerId as typeof alice.peerId
    const put = await first.dial(peer, [relay.address], { signal: signal() })
    await second.dial(peer, [relay.address], { signal: signal() })
    await until(() => put.status !== 'open', 'the second stranger takes the place of the first')
    assert.equal(connection?.status, 'open', admission.kind)
    await alice.close()
  }
})

test('one peer has so many relayed connections only, and may ask so often', async (context) => {
  const relay = await server(context, { relay: { connectionsPerPeer: 2, requestsPerMinute: 5 } })
  const alice = await device(context, [relay.address])
  const bob = await device(context, [])
  await until(() => relayed(alice).length > 0, 'a reservation at the relay')
  const open = [await call(bob, alice), await call(bob, alice)]
  await assert.rejects(call(bob, alice))
  await open[0]?.close()
  await until(() => relay.usage().relayedConnections === 1, 'one has ended')
  await call(bob, alice)
  await call(bob, alice).catch(() => {})
  await until(() => relay.usage().relayedConnections === 2, 'two again')
  for (const connection of bob.libp2p.getConnections()) {
    if (connection.remoteAddr.toString().includes('p2p-circuit')) connection.abort(new Error('enough'))
  }
  await until(() => relay.usage().relayedConnections === 0, 'none is left')
  await assert.rejects(call(bob, alice), 'the sixth request within a minute')
})

test('what a peer sends over a relay is slowed down to its allowance, and none of it is lost', async (context) => {
  const kibibyte = 1024
  const relay = await server(context, {
    relay: { bytesPerSecond: 512 * kibibyte, burstBytes: 64 * kibibyte },
  })
  const alice = await device(context, [relay.address])
  const bob = await device(context, [])
  await until(() => relayed(alice).length > 0, 'a reservation at the relay')
  let received = 0
  await alice.libp2p.handle('/test/sink', (stream) => {
    stream.addEventListener('message', ({ data }) => (received += data.byteLength))
  })
  const stream = await (await call(bob, alice)).newStream('/test/sink', { signal: signal() })
  const startedAt = performance.now()
  stream.send(new Uint8Array(1024 * kibibyte))
  await until(() => received === 1024 * kibibyte, 'all of it')
  // 64 KiB at once and the rest at 512 KiB in a second, but for what was under way when the sender was paused.
  const tookMs = performance.now() - startedAt
  assert.ok(tookMs > 1_200, `after ${tookMs} ms`)
})

test('a relayed connection ends when it has used up its bytes', async (context) => {
  const relay = await server(context, { relay: { bytesPerConnection: 256 * 1024 } })
  const alice = await device(context, [relay.address])
  const bob = await device(context, [])
  await until(() => relayed(alice).length > 0, 'a reservation at the relay')
  await alice.libp2p.handle('/test/sink', (stream) => {
    stream.addEventListener('message', () => {})
  })
  const connection = await call(bob, alice)
  const stream = await connection.newStream('/test/sink', { signal: signal() })
  stream.send(new Uint8Array(512 * 1024))
  await until(() => connection.status !== 'open', 'the connection has ended')
  await until(() => relay.usage().relayedConnections === 0, 'and is forgotten')
})

test('rendezvous nodes that are told of each other are connected', async (context) => {
  const first = await server(context)
  const second = await server(context, { others: [first.address] })
  await until(() => second.usage().peers === 1 && first.usage().peers === 1, 'connected')
})

interface TestServer extends RendezvousServer {
  seed: Uint8Array
  address: string
}

async function server(
  context: TestContext,
  options: {
    seed?: Uint8Array
    port?: number
    others?: string[]
    relay?: RelayLimits
    admission?: RelayAdmission
    maxConnections?: number
  } = {},
): Promise<TestServer> {
  const { seed = randomBytes(32), port = 0, ...rest } = options
  const made = await createRendezvousServer({ seed, port, interfaces: loopback, agent: 'test', ...rest })
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => (stopping ??= made.stop())
  context.after(stop)
  return { ...made, stop, seed, address: made.addresses().find((one) => one.startsWith('/ip4/127.')) ?? '' }
}

interface TestDevice extends NetworkHost {
  /** How often it was refused a reservation. */
  refusals(): number
  close(): Promise<void>
}

/** A host that keeps connections to these rendezvous nodes, which are its relays. */
async function device(
  context: TestContext,
  relays: readonly string[],
  { secret = null, seed = randomBytes(32) }: { secret?: Uint8Array | null; seed?: Uint8Array } = {},
): Promise<TestDevice> {
  const peers = new Set(relays.map((address) => address.split('/p2p/')[1]))
  let refusals = 0
  const host = await createHost({
    seed,
    port: 0,
    interfaces: loopback,
    agent: 'test',
    relay: {
      peers: { isRelay: (peer) => peers.has(peer), isPaired: () => true, isPairing: () => false },
      secretOf: () => secret,
      public: false,
      clock: systemClock,
      log: (_, event) => {
        if (event === 'relay.not-reserved') refusals++
      },
    },
  })
  const nodes = new RendezvousNodes({
    libp2p: host.libp2p,
    addresses: relays,
    clock: systemClock,
    random: () => 0,
    log: () => {},
  })
  nodes.start()
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= nodes.stop().then(() => host.stop()))
  context.after(close)
  return Object.assign(host, { refusals: () => refusals, close })
}

/** A StopMessage of type CONNECT, length-prefixed. https://github.com/libp2p/specs/blob/master/relay/circuit-v2.md */
function stopConnect(from: Host): Uint8Array {
  const id = from.libp2p.peerId.toMultihash().bytes
  const message = [0x08, 0x00, 0x12, id.length + 2, 0x0a, id.length, ...id]
  return Uint8Array.from([message.length, ...message])
}

function relayed(host: Host): string[] {
  return host
    .addresses()
    .map(String)
    .filter((address) => address.includes('/p2p-circuit'))
}

function ipv4({ libp2p }: NetworkHost): string[] {
  return libp2p
    .getMultiaddrs()
    .map(String)
    .filter((address) => address.startsWith('/ip4/127.') && !address.includes('/p2p-circuit'))
}

function call(from: Host, to: Host): Promise<Connection> {
  return within(from.dial(to.peerId, relayed(to), { signal: signal() }), 'a call')
}
