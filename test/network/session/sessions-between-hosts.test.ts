import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import * as v from 'valibot'
import type { Device } from '../../../src/api.ts'
import { systemClock } from '../../../src/clock.ts'
import { defineProtocol } from '../../../src/network/application/application-protocols.ts'
import { ConnectionSupervisor } from '../../../src/network/supervisor/connection-supervisor.ts'
import { ProtocolRegistry } from '../../../src/network/application/protocol-registry.ts'
import { refuseDevice } from '../../../src/network/session/session-handshake.ts'
import type { PairKey } from '../../../src/network/session/session-hello.ts'
import { SessionEndpoint } from '../../../src/network/session/session-endpoint.ts'
import { sessionProtocol } from '../../../src/network/session/session.ts'
import { realHost, until } from '../real-hosts.ts'
import { settledKey } from './session-pair.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { libp2pPeer, peerIdOf } from '../../../src/libp2p-peer.ts'
import { call } from './calls.ts'

test('two devices that dial each other at once end with exactly one session, the same on both sides', async (t) => {
  for (let round = 0; round < 8; round++) {
    const { left, right } = await pair(t)
    left.supervisor.start()
    right.supervisor.start()
    await until(() => haveOneSession(left, right), 'one session on both sides')
    await until(() => openStreams(left) === 1 && openStreams(right) === 1, 'one stream on both sides')
    const kept = left.supervisor.sessionOf(right.peerId)
    assert.equal(await kept?.request(call('double', 1, 21)), 42)
    assert.equal(await right.supervisor.sessionOf(left.peerId)?.request(call('double', 1, 4)), 8)
    await Promise.all([left.stop(), right.stop()])
  }
})

test('a session goes over to another connection in the middle of requests, and none is lost', async (t) => {
  const { left, right } = await pair(t)
  startListening(right)
  left.supervisor.start()
  await until(() => haveOneSession(left, right), 'the session')
  const before = left.supervisor.sessionOf(right.peerId)
  const slow = left.supervisor.sessionOf(right.peerId)?.request(call('held', 1, 4))
  const slowBack = right.supervisor.sessionOf(left.peerId)?.request(call('held', 1, 5))
  await until(() => left.held.length === 1 && right.held.length === 1, 'both are being handled')

  // Both ask all the time, each the session that its supervisor holds at that moment.
  const moved = new AbortController()
  const ask = async (from: TestDevice, to: TestDevice): Promise<number> => {
    let answers = 0
    for (; !moved.signal.aborted || answers < 20; answers++) {
      assert.equal(
        await from.supervisor.sessionOf(to.peerId)?.request(call('double', 1, answers)),
        answers * 2,
      )
    }
    return answers
  }
  const asking = Promise.all([ask(left, right), ask(right, left)])
  const dialled = await left.host.dial(right.host.getMultiaddrs(), { force: true })
  await left.supervisor.peers.get(right.peerId)?.moveTo(dialled, { signal: AbortSignal.timeout(5_000) })
  const after = left.supervisor.sessionOf(right.peerId)
  assert.equal(after?.connection, dialled)
  await after?.ping()
  moved.abort()
  await asking
  assert.equal(before?.connection.status, 'open', 'the slow ones are still under way')
  for (const release of [...left.held, ...right.held]) release()
  assert.deepEqual(await Promise.all([slow, slowBack]), [4, 5])
  const saysGoodbye = left.peerId < right.peerId
  assert.deepEqual(await before?.closed, { reason: saysGoodbye ? 'closed' : 'remote-closed' })
  await until(() => before?.connection.status === 'closed', 'the old connection is closed')
  assert.ok(haveOneSession(left, right))
})

test('a device that was killed and started again is connected again, as another process', async (t) => {
  const { left, right } = await pair(t)
  startListening(right)
  left.supervisor.start()
  await until(() => haveOneSession(left, right), 'the first session')
  const before = left.supervisor.sessionOf(right.peerId)?.remoteInstance
  await right.kill()
  const again = await startDevice(t, right.privateKey, right.keys)
  connect(left, again)
  left.supervisor.sighting(again.peerId)
  again.supervisor.start()
  await until(() => haveOneSession(left, again), 'the second session')
  const kept = left.supervisor.sessionOf(again.peerId)
  assert.notEqual(kept?.remoteInstance, before)
  assert.equal(await kept?.request(call('double', 1, 5)), 10)
})

test('a device that forgot the other says so, and is not asked again', async (t) => {
  const { left, right } = await pair(t)
  right.keys.clear()
  startListening(right)
  left.supervisor.start()
  await until(() => left.unknown === 1, 'unknown device')
  left.supervisor.sighting(right.peerId)
  assert.equal(left.dialled, 1)
  assert.equal(right.sessions, 0)
})

test('revoking ends the session on both sides before it returns, and the device stays away', async (t) => {
  const { left, right } = await pair(t)
  startListening(right)
  left.supervisor.start()
  await until(() => haveOneSession(left, right), 'the session')
  const session = right.supervisor.sessionOf(left.peerId)
  left.keys.clear()
  await left.supervisor.drop(right.peerId)
  assert.equal(
    left.host.getConnections(libp2pPeer(right.peerId)).filter(({ status }) => status === 'open').length,
    0,
  )
  await session?.closed
  connect(left, right)
  right.supervisor.connectNow(left.peerId)
  await until(() => right.unknown === 1, 'the other side learns it')
  assert.equal(left.supervisor.sessionOf(right.peerId), undefined)
})

/** Ready for sessions, but does not dial. */
function startListening(device: TestDevice): void {
  device.addresses.clear()
  device.supervisor.start()
}

interface TestDevice {
  host: Awaited<ReturnType<typeof realHost>>
  peerId: PeerId
  privateKey: PrivateKey
  supervisor: ConnectionSupervisor
  keys: Map<PeerId, PairKey[]>
  addresses: Map<PeerId, Multiaddr[]>
  dialled: number
  sessions: number
  unknown: number
  /** Requests that wait to be answered. */
  held: (() => void)[]
  stop(): Promise<void>
  /** Without a goodbye. */
  kill(): Promise<void>
}

async function pair(t: TestContext): Promise<{ left: TestDevice; right: TestDevice }> {
  const keyPairs = await Promise.all([generateKeyPair('Ed25519'), generateKeyPair('Ed25519')])
  const [leftId, rightId] = keyPairs.map((key) => peerIdOf(peerIdFromPrivateKey(key)))
  assert.ok(leftId !== undefined && rightId !== undefined)
  const [left, right] = await Promise.all([
    startDevice(t, keyPairs[0], new Map([[rightId, [settledKey]]])),
    startDevice(t, keyPairs[1], new Map([[leftId, [settledKey]]])),
  ])
  connect(left, right)
  return { left, right }
}

function connect(one: TestDevice, other: TestDevice): void {
  one.addresses.set(other.peerId, other.host.getMultiaddrs())
  other.addresses.set(one.peerId, one.host.getMultiaddrs())
}

/** Host, registry and supervisor, put together as a node does it. */
async function startDevice(
  t: TestContext,
  privateKey: PrivateKey,
  keys: Map<PeerId, PairKey[]>,
): Promise<TestDevice> {
  const host = await realHost(privateKey)
  const addresses = new Map<PeerId, Multiaddr[]>()
  const registry = new ProtocolRegistry({
    host,
    trust: { keysOf: (peer) => keys.get(peer) ?? [] },
  })
  registry.serveTo({ trusted: (peer) => (keys.has(peer) ? ({ id: peer as string } as Device) : undefined) })
  const held: (() => void)[] = []
  registry.register(
    defineProtocol({
      name: 'held',
      version: 1,
      request: v.number(),
      response: v.number(),
      handler: async (value) => {
        await new Promise<void>((resolve) => held.push(resolve))
        return value
      },
    }),
  )
  registry.register(
    defineProtocol({
      name: 'double',
      version: 1,
      request: v.number(),
      response: v.number(),
      handler: (value) => value * 2,
    }),
  )
  const endpoint = new SessionEndpoint({
    localPeer: peerIdOf(host.peerId),
    instance: randomBytes(16),
    trust: {
      keysOf: (peerId: PeerId) => keys.get(peerId) ?? [],
      proved: () => {},
      noticeTo: () => undefined,
      revokedBy: () => false,
      disowned: () => {},
    },
    calls: registry.calls,
  })
  const dial = (targets: readonly Multiaddr[], { signal }: { signal: AbortSignal }): Promise<Connection> => {
    device.dialled++
    return host.dial([...targets], { signal })
  }
  const device: TestDevice = {
    host,
    peerId: peerIdOf(host.peerId),
    privateKey,
    keys,
    addresses,
    dialled: 0,
    sessions: 0,
    unknown: 0,
    held,
    supervisor: new ConnectionSupervisor({
      host: {
        peerId: peerIdOf(host.peerId),
        simultaneousOpen: null,
        toldAddresses: async () => [],
        dialTls: async () => null,
        connectionsTo: (peerId) => host.getConnections(libp2pPeer(peerId)),
        connect: (_peerId, targets, options) => dial(targets, options),
        dial: (_peerId, targets, options) => dial(targets, options),
      },
      trusted: { wanted: () => [...keys.keys()], isWanted: (peerId) => keys.has(peerId), pairKeys: () => [] },
      book: { addressesOf: (peerId) => (addresses.get(peerId) ?? []).map(String) },
      opener: endpoint,
      random: Math.random,
      clock: systemClock,
      log: () => {},
    }),
    stop: async () => {
      await device.supervisor.stop()
      await registry.close()
      await host.stop()
    },
    kill: async () => {
      for (const connection of host.getConnections()) connection.abort(new Error('killed'))
      await device.stop()
    },
  }
  device.supervisor.listen({
    sessionStarted: () => device.sessions++,
    unknownDevice: () => device.unknown++,
  })
  registry.attach({
    protocol: sessionProtocol,
    access: 'paired',
    maxInboundStreams: 4,
    refuse: (stream) => refuseDevice(stream, undefined),
    handle: async (stream, connection, { signal }) => {
      device.supervisor.admit(await endpoint.accept(stream, connection, { signal }))
    },
  })
  await registry.settled()
  t.after(() => device.stop())
  return device
}

function haveOneSession(one: TestDevice, other: TestDevice): boolean {
  const here = one.supervisor.sessionOf(other.peerId)
  const there = other.supervisor.sessionOf(one.peerId)
  return here !== undefined && there !== undefined && here.opener !== there.opener
}

function openStreams(device: TestDevice): number {
  const streams = device.host.getConnections().flatMap((connection) => connection.streams)
  return streams.filter(({ protocol }) => protocol === sessionProtocol).length
}
