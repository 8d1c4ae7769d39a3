import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import type { Clock } from '../../../src/api.ts'
import { systemClock } from '../../../src/clock.ts'
import { publicDhtProtocol } from '../../../src/network/dht/dht-protocols.ts'
import { createHost } from '../../../src/network/host/create-host.ts'
import type { NetworkHost } from '../../../src/network/host/host.ts'
import { createThrowawayHost, type ThrowawayHost } from '../../../src/network/public/throwaway-host.ts'
import { SteeredClock } from '../../threats/steered-clock.ts'
import { until } from '../real-hosts.ts'

/** A node of the public network that is also a relay, of js-libp2p and nothing of ours. */
async function publicRelay(
  context: TestContext,
  { hasLimits = true, isRelay = true }: { hasLimits?: boolean; isRelay?: boolean } = {},
): Promise<Libp2p> {
  const relay = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      ...(isRelay ? { relay: circuitRelayServer({ reservations: { applyDefaultLimit: hasLimits } }) } : {}),
      dht: kadDHT({
        protocol: publicDhtProtocol,
        clientMode: false,
        peerInfoMapper: passthroughMapper,
      }),
    },
  })
  context.after(() => relay.stop())
  return relay
}

interface Covered {
  host: NetworkHost
  throwaway: ThrowawayHost
}

/** A host of a device, with a throwaway host of its own. */
async function covered(
  context: TestContext,
  bootstrap: readonly string[],
  clock: Clock = systemClock,
): Promise<Covered> {
  const host = await createHost({
    seed: randomBytes(32),
    port: 0,
    interfaces: ['lo'],
    agent: 'test',
    relay: {
      peers: { isRelay: () => false, isPaired: () => true, isPairing: () => false },
      secretOf: () => null,
      public: true,
      clock: systemClock,
      log: () => {},
    },
  })
  assert.ok(host.veil)
  const throwaway = await createThrowawayHost({
    bootstrap,
    veil: host.veil,
    random: (length) => randomBytes(length),
    clock,
    log: () => {},
    privateAddresses: true,
    onReservations: () => {},
  })
  host.veil.use(throwaway.cover)
  context.after(async () => {
    await throwaway.stop()
    await host.stop()
  })
  return { host, throwaway }
}

const signal = (): AbortSignal => AbortSignal.timeout(20_000)
const short = (): AbortSignal => AbortSignal.timeout(3_000)

test('two devices meet over a public relay, which sees neither of them', async (context) => {
  const relay = await publicRelay(context)
  const seen = new Set<string>()
  relay.addEventListener('peer:connect', ({ detail }) => seen.add(detail.toString()))
  const bootstrap = relay.getMultiaddrs().map(String)
  const alice = await covered(context, bootstrap)
  const bob = await covered(context, bootstrap)
  await until(() => bob.throwaway.addresses().length > 0, 'bob has a reservation')
  const connection = await alice.host.connect(bob.host.peerId, bob.throwaway.addresses(), {
    signal: signal(),
  })
  assert.equal(connection.remotePeer.toString(), bob.host.peerId)
  assert.ok(connection.limits !== undefined, 'it knows the limits of the relay')
  assert.ok(!connection.remoteAddr.toString().includes('certhash'), 'the key is not shown')
  await until(() => bob.host.libp2p.getConnections().length === 1, 'bob has it, too')
  assert.equal(bob.host.libp2p.getConnections()[0]?.remotePeer.toString(), alice.host.peerId)
  assert.equal(bob.throwaway.carries(), 1)
  assert.equal(await alice.host.dialableAddress(connection), null, 'nobody remembers where it was')
  assert.deepEqual(seen, new Set([alice.throwaway.peerId, bob.throwaway.peerId]))
})

test('a relay without limits has one all the same: the hosts at its ends come and go', async (context) => {
  const relay = await publicRelay(context, { hasLimits: false })
  const bootstrap = relay.getMultiaddrs().map(String)
  const alice = await covered(context, bootstrap)
  const bob = await covered(context, bootstrap)
  await until(() => bob.throwaway.addresses().length > 0, 'bob has a reservation')
  const connection = await alice.host.connect(bob.host.peerId, bob.throwaway.addresses(), {
    signal: signal(),
  })
  await until(() => bob.host.libp2p.getConnections().length === 1, 'bob has it, too')
  for (const { limits } of [connection, ...bob.host.libp2p.getConnections()]) {
    assert.equal(limits?.bytes, undefined)
    assert.ok(limits?.seconds !== undefined && limits.seconds > 400 && limits.seconds <= 480)
  }
})

test('when all relays go at once, others are looked for at once', async (context) => {
  const entry = await publicRelay(context, { isRelay: false })
  const join = async (): Promise<Libp2p> => {
    const relay = await publicRelay(context)
    await relay.dial(entry.getMultiaddrs())
    return relay
  }
  const first = await Promise.all([join(), join(), join()])
  const clock = new SteeredClock()
  const { throwaway } = await covered(context, entry.getMultiaddrs().map(String), clock)
  await until(() => throwaway.relays().length === 3, 'it has reservations at all of them')
  // The pause after the walk that found them is over: no other is planned.
  clock.pass(8_000)
  // Nobody has told of this one.
  const later = await join()
  await Promise.all(first.map(async (relay) => relay.stop()))
  await until(
    () => throwaway.relays().includes(later.peerId.toString()),
    'it has a reservation at the other one',
  )
})

test('a stranger who calls a throwaway host over its relay does not learn whose it is', async (context) => {
  const relay = await publicRelay(context)
  const bootstrap = relay.getMultiaddrs().map(String)
  const stranger = await covered(context, bootstrap)
  const bob = await covered(context, bootstrap)
  await until(() => bob.throwaway.addresses().length > 0, 'bob has a reservation')
  const [address = ''] = bob.throwaway.addresses()
  const unveiled = address.replace(/\/certhash\/.*$/u, '')
  const wrongKey = `${unveiled}/certhash/uACAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw`
  for (const tried of [`${unveiled}/p2p/${bob.host.peerId}`, wrongKey]) {
    await assert.rejects(stranger.host.connect(bob.host.peerId, [tried], { signal: short() }))
  }
  assert.deepEqual(bob.host.libp2p.getConnections(), [])
  await until(
    () => bob.throwaway.carries() === 0 && stranger.throwaway.carries() === 0,
    'nothing of it is left',
    15_000,
  )
})
