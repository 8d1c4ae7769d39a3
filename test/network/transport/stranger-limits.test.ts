import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { StrangerLimits } from '../../../src/network/transport/stranger-limits.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
const friend = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))

function makeLimits() {
  const clock = virtualClock()
  const known = new Set([friend.toString()])
  const limits = new StrangerLimits({
    peers: { isPaired: (each) => known.has(each), isPairing: () => false },
    places: { inAll: 6, perNetwork: 3 },
    idleMs: 60_000,
    clock,
  })
  const ended: string[] = []
  const connect = (host: string, name: string, more: { by?: typeof peer; streams?: number } = {}): void => {
    const { by = peer, streams = 0 } = more
    limits.opened(connection(host, by, streams, () => ended.push(name)))
  }
  return { known, clock, limits, ended, connect }
}

function connection(host: string, remotePeer: typeof peer, streams: number, onEnd: () => void): Connection {
  const target = Object.assign(new EventTarget(), {
    direction: 'inbound',
    status: 'open',
    remotePeer,
    remoteAddr: multiaddr(`/ip${host.includes(':') ? 6 : 4}/${host}/tcp/1`),
    streams: Array.from({ length: streams }),
    abort() {
      onEnd()
      target.dispatchEvent(new Event('close'))
    },
  })
  return target as unknown as Connection
}

test('threat 42: a newcomer takes the place of the one of its own address that was idle for longest', async () => {
  const { clock, ended, connect } = makeLimits()
  connect('10.0.0.1', 'busy', { streams: 1 })
  for (const name of ['first', 'second']) {
    connect('10.0.0.1', name)
    await clock.pass(10)
  }
  connect('10.0.0.2', 'elsewhere')
  connect('10.0.0.1', 'third')
  assert.deepEqual(ended, ['first'])
})

test('threat 42: the addresses of one /64 count as one', () => {
  const { ended, connect } = makeLimits()
  for (let index = 1; index < 9; index++) connect(`2001:db8::${index}`, `${index}`)
  assert.equal(ended.length, 5)
})

test('threat 42: where all places are taken, the network that has the most gives one up', async () => {
  const { clock, ended, connect } = makeLimits()
  for (const host of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) connect(host, host)
  for (const name of ['a', 'b', 'c']) {
    connect('10.0.0.9', name)
    await clock.pass(10)
  }
  connect('10.0.0.4', 'newcomer')
  assert.deepEqual(ended, ['a'])
})

const equals = [
  { what: 'the oldest is the one in use', used: 'first', ended: 'second' },
  { what: 'a younger one is in use', used: 'second', ended: 'first' },
  { what: 'two are in use', used: 'first second', ended: 'third' },
]
for (const { what, used, ended: expected } of equals) {
  test(`threat 42: of networks with equally many, the longest idle one of all loses: ${what}`, async () => {
    const { clock, ended, connect } = makeLimits()
    for (const [index, name] of ['first', 'second', 'third', 'fourth', 'fifth', 'sixth'].entries()) {
      connect(`10.0.0.${index}`, name, { streams: used.includes(name) ? 1 : 0 })
      await clock.pass(10)
    }
    connect('10.0.0.9', 'newcomer')
    assert.deepEqual(ended, [expected])
  })
}

test('threat 42: one that has proved itself since it came holds no place any more, and loses none', async () => {
  const { known, clock, ended, connect } = makeLimits()
  const own = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  for (const name of ['a', 'b', 'c']) {
    connect('10.0.0.1', name, { by: own })
    await clock.pass(10)
  }
  known.add(own.toString())
  for (const name of ['d', 'e', 'f', 'g']) {
    connect('10.0.0.1', name)
    await clock.pass(10)
  }
  assert.deepEqual(ended, ['d'])
})

test('threat 42: paired devices are not counted, and not ended', async () => {
  const { clock, limits, ended, connect } = makeLimits()
  for (let index = 0; index < 20; index++) connect('10.0.0.1', `friend${index}`, { by: friend })
  assert.equal(limits.size, 0)
  await clock.pass(600_000)
  assert.deepEqual(ended, [])
})

test('threat 42: a stranger without a stream is sent away after a minute, one with a stream is not', async () => {
  const { clock, ended, connect } = makeLimits()
  connect('10.0.0.1', 'idle')
  connect('10.0.0.1', 'busy', { streams: 1 })
  await clock.pass(59_000)
  assert.deepEqual(ended, [])
  await clock.pass(7_000)
  assert.deepEqual(ended, ['idle'])
})
