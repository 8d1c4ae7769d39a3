import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Connection, IdentifyResult, Stream, StreamHandler } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { byteStream, streamPair } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { systemClock } from '../../../src/clock.ts'
import type { NetworkHost } from '../../../src/network/host/host.ts'
import { pingService } from '../../../src/network/transport/ping-service.ts'
import { RendezvousNodes } from '../../../src/network/relay/rendezvous-nodes.ts'
import { virtualClock, turns } from '../../../src/testing/virtual-clock.ts'
import { until, within } from '../real-hosts.ts'
import { relayedHost } from '../relay/relayed-host.ts'

test('a device without a DHT says by identify that it answers pings, and does', async (context) => {
  const device = await createDevice(context)
  const stranger = await createStranger(context)
  const address = device.addresses().find((one) => one.toString().startsWith('/ip4/'))
  assert.ok(address)
  const identified = new Promise<IdentifyResult>((resolve) => {
    stranger.addEventListener('peer:identify', ({ detail }) => resolve(detail), { once: true })
  })
  await stranger.dial(address)
  const { protocols } = await within(identified, 'identify')
  assert.ok(protocols.includes('/ipfs/ping/1.0.0'), protocols.join(' '))
  assert.ok(protocols.includes('/ipfs/id/1.0.0'), protocols.join(' '))
  for (let round = 0; round < 20; round++) {
    assert.ok((await within(stranger.services.ping.ping(address), 'an answer')) >= 0)
  }
})

test('a device answers pings over a relay that limits its connections', async (context) => {
  const relay = await createRelay(context)
  const [relayAddress = ''] = relay.getMultiaddrs().map(String)
  const device = await createDevice(context, relayAddress)
  const stranger = await createStranger(context)
  const overRelay = (): string[] =>
    device
      .addresses()
      .map(String)
      .filter((address) => address.includes('p2p-circuit'))
  await until(() => overRelay().length > 0, 'a place at the relay')
  const connection = await within(stranger.dial(multiaddr(overRelay()[0] ?? '')), 'a connection')
  assert.ok(connection.limits, 'it is limited')
  assert.ok((await within(stranger.services.ping.ping(connection.remotePeer), 'an answer')) >= 0)
})

test('pings that share a stream are answered for as long as one comes within a minute', async () => {
  const clock = virtualClock()
  const { asker, answers } = await served(clock)
  for (let round = 0; round < 5; round++) {
    const bytes = new Uint8Array(randomBytes(32))
    await asker.write(bytes)
    assert.deepEqual((await asker.read({ bytes: 32 }))?.subarray(), bytes)
    await clock.pass(59_999)
    assert.equal(answers.status, 'open')
  }
  await clock.pass(1)
  assert.equal(answers.status, 'aborted')
  assert.equal(clock.pending(), 0)
})

test('the stream of a ping is closed when the asker has closed it, and no timer stays', async () => {
  const clock = virtualClock()
  const { asker, answers } = await served(clock)
  await asker.write(new Uint8Array(32).fill(7))
  assert.equal((await asker.read({ bytes: 32 }))?.byteLength, 32)
  await asker.unwrap().close()
  await until(() => answers.status === 'closed', 'the stream is closed')
  assert.equal(clock.pending(), 0)
})

test('who sends pings and reads no answers is cut off before much is held for it', async (context) => {
  const device = await createDevice(context)
  const stranger = await createStranger(context)
  const [address] = device.addresses()
  assert.ok(address)
  const connection = await stranger.dial(address)
  const stream = await connection.newStream('/ipfs/ping/1.0.0')
  stream.pause()
  let sent = 0
  for (; stream.status === 'open' && sent < 4_096; sent++) {
    if (!stream.send(new Uint8Array(1_024))) await until(() => !stream.writableNeedsDrain, 'more may be sent')
    await turns(1)
  }
  await until(() => stream.status !== 'open', 'the stream is cut')
  assert.ok(sent > 256 && sent < 4_096, `more than the muxer's window was taken, and ${sent} KiB in all`)
})

/** A stream pair, one end of which is in the hands of the handler that the service registers. */
async function served(clock: ReturnType<typeof virtualClock>): Promise<{
  asker: ReturnType<typeof byteStream>
  answers: Stream
}> {
  const [asker, answers] = await streamPair()
  let handle: StreamHandler | undefined
  const service = pingService({ clock })({
    registrar: { handle: async (_, handler) => void (handle = handler) },
  } as Parameters<ReturnType<typeof pingService>>[0])
  await (service as unknown as { start(): Promise<void> }).start()
  await handle?.(answers, {} as Connection)
  return { asker: byteStream(asker), answers }
}

async function createDevice(context: TestContext, relay?: string): Promise<NetworkHost> {
  const host = await relayedHost()
  context.after(() => host.stop())
  if (relay === undefined) return host
  const nodes = new RendezvousNodes({
    libp2p: host.libp2p,
    addresses: [relay],
    clock: systemClock,
    random: () => 0,
    log: () => {},
  })
  nodes.start()
  context.after(() => nodes.stop())
  return host
}

// eslint-disable-next-line @typescript-eslint/explicit-function-return-type
async function createStranger(context: TestContext) {
  const stranger = await createLibp2p({
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  context.after(() => stranger.stop())
  return stranger
}

// eslint-disable-next-line @typescript-eslint/explicit-function-return-type
async function createRelay(context: TestContext) {
  const relay = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), relay: circuitRelayServer() },
  })
  context.after(() => relay.stop())
  return relay
}
