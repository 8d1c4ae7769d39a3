import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { multiaddr } from '@multiformats/multiaddr'
import { systemClock } from '../../../src/clock.ts'
import type { NetworkHost } from '../../../src/network/host/host.ts'
import { createThrowawayHost, type ThrowawayHost } from '../../../src/network/public/throwaway-host.ts'
import { Veil } from '../../../src/network/public/veil.ts'
import { placeLifetimeMs } from '../../../src/network/relay/relay-places.ts'
import { RendezvousNodes } from '../../../src/network/relay/rendezvous-nodes.ts'
import { createRendezvousServer } from '../../../src/network/relay/rendezvous-server.ts'
import { renewAfterMs } from '../../../src/network/relay/reservations.ts'
import { LeapingClock } from '../../leaping-clock.ts'
import { foreignHost, until } from '../real-hosts.ts'
import { hopRelay } from './hop-relay.ts'
import { relayedHost } from './relayed-host.ts'

const minuteMs = 60_000
const seconds = (wallMs: number): bigint => BigInt(Math.round(wallMs / 1_000))
const now = Date.now()
const ends: [string, bigint][] = [
  ['a relay whose clock began in 1970', 7_200n],
  ['a relay whose clock is three hours behind', seconds(now - 3 * 3_600_000)],
  ['a relay whose clock is right', seconds(now + 3_600_000)],
  ['a relay whose clock is in 2100', seconds(Date.UTC(2100, 0))],
]

for (const [which, expire] of ends) {
  test(`${which}: the place is announced, and renewed within half an hour of running time`, async (context) => {
    const relay = await hopRelay(context, expire)
    const { host, clock } = await device(context, relay.address)
    await until(() => places(host) === 1, 'a place')
    assert.equal(relay.requests, 1)
    clock.leap(30 * minuteMs)
    await until(() => relay.requests === 2, 'it is renewed')
    assert.equal(places(host), 1)
  })

  test(`${which}: a throwaway host, too, has and renews its place`, async (context) => {
    const relay = await hopRelay(context, expire)
    const { host, clock } = await throwaway(context, relay.address)
    await until(() => host.addresses().length === 1, 'a place')
    clock.leap(30 * minuteMs)
    await until(() => relay.requests === 2, 'it is renewed')
    assert.equal(host.addresses().length, 1)
  })
}

test('a place that a relay does not renew is withdrawn, and asked for until there is one again', async (context) => {
  const relay = await hopRelay(context, seconds(now + 3_600_000))
  const { host, clock } = await device(context, relay.address)
  await until(() => places(host) === 1, 'a place')
  relay.expire = null
  clock.leap(30 * minuteMs)
  await until(() => places(host) === 0, 'it is withdrawn')
  await until(() => relay.requests > 2, 'it is asked for again')
  relay.expire = seconds(now + 3_600_000)
  // The waiting times between the requests grow.
  const leaping = setInterval(() => clock.leap(minuteMs), 50)
  context.after(() => clearInterval(leaping))
  await until(() => places(host) === 1, 'a place again')
})

test('a place at a rendezvous node that is renewed again and again lasts as long as its connection', async (context) => {
  const timers: AbortController[] = []
  const timeout = AbortSignal.timeout.bind(AbortSignal)
  context.mock.method(AbortSignal, 'timeout', (ms: number) => {
    if (ms < placeLifetimeMs) return timeout(ms)
    const timer = new AbortController()
    timers.push(timer)
    return timer.signal
  })
  const server = await createRendezvousServer({
    seed: randomBytes(32),
    port: 0,
    interfaces: loopback,
    agent: 'test',
  })
  const client = await foreignHost()
  context.after(() => Promise.all([client.stop(), server.stop()]))
  const connection = await client.dial(server.addresses().map((address) => multiaddr(address)))
  for (let request = 1; request <= 3; request++) {
    const stream = await connection.newStream(RELAY_V2_HOP_CODEC)
    const answered = once(stream, 'message')
    stream.send(reserve)
    await answered
  }
  assert.ok(timers.length > 0)
  for (const timer of timers) timer.abort()
  assert.equal(server.usage().reservations, 1)
  await client.stop()
  await until(() => server.usage().reservations === 0, 'it is given up')
})

test('a place is renewed at half its time, not in a storm and never later than half an hour', () => {
  const wall = Date.UTC(2026, 0)
  const table: [bigint | undefined, number][] = [
    [undefined, 30 * minuteMs],
    [0n, 30 * minuteMs],
    [seconds(wall), 30 * minuteMs],
    [seconds(wall + 1_000), minuteMs / 2],
    [seconds(wall + 10 * minuteMs), 5 * minuteMs],
    [seconds(wall + 20 * 24 * 60 * minuteMs), 30 * minuteMs],
    [2n ** 64n - 1n, 30 * minuteMs],
  ]
  for (const [expire, afterMs] of table) assert.equal(renewAfterMs(expire, wall), afterMs, String(expire))
})

const loopback = [process.platform === 'darwin' ? 'lo0' : 'lo']
/** HopMessage of type RESERVE, length-prefixed. */
const reserve = Uint8Array.of(2, 0x08, 0x00)

async function device(
  context: TestContext,
  relay: string,
): Promise<{ host: NetworkHost; clock: LeapingClock }> {
  const clock = new LeapingClock()
  const host = await relayedHost(clock)
  const nodes = new RendezvousNodes({
    libp2p: host.libp2p,
    addresses: [relay],
    clock: systemClock,
    log: () => {},
  })
  nodes.start()
  context.after(() => nodes.stop().then(() => host.stop()))
  return { host, clock }
}

async function throwaway(
  context: TestContext,
  relay: string,
): Promise<{ host: ThrowawayHost; clock: LeapingClock }> {
  const clock = new LeapingClock()
  const host = await createThrowawayHost({
    bootstrap: [relay],
    veil: new Veil(clock),
    random: (length) => randomBytes(length),
    clock,
    log: () => {},
    privateAddresses: true,
    onReservations: () => {},
  })
  context.after(() => host.stop())
  return { host, clock }
}

/** Number of the host's addresses over relays. */
function places(host: NetworkHost): number {
  return host.addresses().filter((address) => address.toString().includes('/p2p-circuit')).length
}
