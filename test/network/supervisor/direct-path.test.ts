import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { DirectPath, type RelayedPeer } from '../../../src/network/supervisor/direct-path.ts'
import type { Session, SessionEnd } from '../../../src/network/session/session.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { libp2pPeer, peerIdOf } from '../../../src/libp2p-peer.ts'
import { asPeer } from '../../peers.ts'

const peer = peerIdOf(peerIdFromPrivateKey(await generateKeyPair('Ed25519')))
const relayedAddress = `/ip4/203.0.113.1/tcp/4111/p2p/${peer}/p2p-circuit`

test('a session over a relay is moved to the first direct connection, and not tried for any more', async () => {
  const stage = setUp({ isAsker: true, openThroughNats: async () => connection('/ip4/203.0.113.9/tcp/1') })
  stage.start()
  await stage.clock.pass(0)
  assert.deepEqual(stage.moved, ['/ip4/203.0.113.9/tcp/1'])
  stage.end()
  await stage.clock.pass(3_600_000)
  assert.equal(stage.opened(), 1)
  assert.equal(stage.clock.pending(), 0)
})

test('nothing found: it tries again after ever longer pauses, and at once when there is news', async () => {
  const stage = setUp({ isAsker: true })
  stage.start()
  const tries: number[] = []
  for (const ms of [0, 5_000, 30_000, 120_000, 600_000, 600_000]) {
    await stage.clock.pass(ms)
    tries.push(stage.opened())
  }
  assert.deepEqual(tries, [1, 2, 3, 4, 5, 6])
  stage.path.hurry()
  await turns()
  stage.path.hurry()
  await turns()
  assert.equal(stage.opened(), 8)
  await stage.path.stop()
  assert.equal(stage.clock.pending(), 0)
})

test('the addresses that the device told are dialled besides, but none that leads over a relay', async () => {
  const stage = setUp({ isAsker: true, told: ['/ip4/192.168.1.7/tcp/4001', relayedAddress] })
  stage.start()
  await stage.clock.pass(0)
  assert.deepEqual(stage.dialled, ['/ip4/192.168.1.7/tcp/4001'])
  await stage.path.stop()
})

test('the other of the two arranges nothing and moves nothing, but dials', async () => {
  const stage = setUp({
    isAsker: false,
    told: ['/ip4/192.168.1.7/tcp/4001'],
    dial: async () => connection('/ip4/192.168.1.7/tcp/4001'),
  })
  stage.start()
  await stage.clock.pass(0)
  assert.deepEqual([stage.dialled.length, stage.opened(), stage.moved.length], [1, 0, 0])
  await stage.path.stop()
})

test('a direct connection that the other side dialled is used at once', async () => {
  const stage = setUp({ isAsker: true })
  stage.start()
  await stage.clock.pass(0)
  stage.path.connectionOpened(connection(relayedAddress))
  stage.path.connectionOpened(connection('/ip4/192.168.1.7/tcp/50123'))
  await turns()
  assert.deepEqual(stage.moved, ['/ip4/192.168.1.7/tcp/50123'])
  await stage.path.stop()
})

test('a session that takes the place of another ends the search for it, and waits for the end before its own begins', async () => {
  let underWay = 0
  const stage = setUp({
    isAsker: true,
    openThroughNats: async (signal) => {
      assert.equal(++underWay, 1, 'one at a time')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      underWay--
      throw new Error('called off')
    },
  })
  stage.start()
  await stage.clock.pass(0)
  stage.replace(relayedAddress)
  await stage.clock.pass(0)
  assert.deepEqual([stage.opened(), underWay], [2, 1])
  stage.replace('/ip4/192.168.1.7/tcp/4001')
  await stage.clock.pass(1_000_000)
  assert.deepEqual([stage.opened(), underWay, stage.clock.pending()], [2, 0, 0])
})

test('a direct session is left alone', async () => {
  const stage = setUp({ isAsker: true, address: '/ip4/192.168.1.7/tcp/4001' })
  stage.start()
  await stage.clock.pass(1_000_000)
  assert.deepEqual([stage.opened(), stage.moved.length, stage.clock.pending()], [0, 0, 0])
})

interface Situation {
  isAsker: boolean
  address?: string
  told?: string[]
  dial?: () => Promise<Connection>
  openThroughNats?: (signal: AbortSignal) => Promise<Connection>
}

function setUp({ isAsker, address = relayedAddress, told = [], dial, openThroughNats }: Situation) {
  const clock = virtualClock()
  const ended = Promise.withResolvers<SessionEnd>()
  const sessionAt = (where: string) =>
    ({
      remotePeer: peer,
      connection: connection(where),
      closed: ended.promise,
    }) as unknown as Session
  let session = sessionAt(address)
  const moved: string[] = []
  const dialled: string[] = []
  let opened = 0
  const relayedPeer: RelayedPeer = {
    id: peer,
    get session() {
      return session
    },
    addresses: () => [],
    moveTo: async ({ remoteAddr }) => void moved.push(remoteAddr.toString()),
  }
  const path = new DirectPath(relayedPeer, {
    host: {
      peerId: asPeer(isAsker ? '' : '~'),
      connectionsTo: () => [session.connection],
      toldAddresses: async () => told.map((one) => multiaddr(one)),
      dialTls: async () => null,
      dial: (_, addresses) => {
        dialled.push(...addresses.map(String))
        return (dial ?? nothing)()
      },
      simultaneousOpen: {
        open: (_, { signal }) => {
          opened++
          return (openThroughNats ?? nothing)(signal)
        },
      },
    },
    clock,
    log: () => {},
  })
  return {
    clock,
    path,
    moved,
    dialled,
    opened: () => opened,
    start: () => path.sessionStarted(session),
    replace: (where: string) => path.sessionStarted((session = sessionAt(where))),
    end: () => ended.resolve({ reason: 'closed' }),
  }
}

function nothing(): Promise<Connection> {
  return Promise.reject(new Error('no way'))
}

function connection(address: string): Connection {
  return {
    remoteAddr: multiaddr(address),
    remotePeer: libp2pPeer(peer),
    status: 'open',
  } as unknown as Connection
}
