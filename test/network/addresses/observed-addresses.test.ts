import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { ObservedAddresses } from '../../../src/network/addresses/observed-addresses.ts'
import { peerIdOf } from '../../../src/libp2p-peer.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const port = 4_001
const outer = '/ip4/20.3.4.5/tcp/4001'
const friend = peerIdFromString('12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss')
const stranger = peerIdFromString('12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN')
const relay = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

interface Heard {
  from?: PeerId
  at?: string
  direction?: 'inbound' | 'outbound'
  observed?: string
}

function observing() {
  const clock = virtualClock()
  const observed = new ObservedAddresses({ peers: { isPaired: (peer) => peer === peerIdOf(friend) }, clock })
  return {
    clock,
    hear: ({
      from = stranger,
      at = '/ip4/45.67.89.1/tcp/50000',
      direction = 'inbound',
      ...rest
    }: Heard): void => {
      const connection = { direction, remotePeer: from, remoteAddr: multiaddr(at) }
      observed.heard(connection, multiaddr(rest.observed ?? outer), port)
    },
    believed: () => observed.believed().map(String),
  }
}

test('a paired device that came in by an address is believed at once', () => {
  const { hear, believed } = observing()
  hear({ from: friend })
  assert.deepEqual(believed(), [outer])
})

test('strangers are believed when they are in three networks', () => {
  const { hear, believed } = observing()
  for (const port of [1, 2, 3, 4]) hear({ at: `/ip4/45.67.89.1/tcp/${port}` })
  hear({ at: '/ip6/2a02:1:2:3::1/tcp/1' })
  hear({ at: '/ip6/2a02:1:2:3::2/tcp/1' })
  assert.deepEqual(believed(), [])
  hear({ at: '/ip4/45.67.90.1/tcp/1' })
  assert.deepEqual(believed(), [outer])
})

const notProof: [string, Heard][] = [
  ['a connection that went out', { direction: 'outbound' }],
  ['one over a relay', { at: `/ip4/45.67.89.1/tcp/1/p2p/${relay}/p2p-circuit` }],
  ['another port than that of the listener', { observed: '/ip4/20.3.4.5/tcp/50001' }],
  ['an address of a private network', { observed: '/ip4/10.1.0.2/tcp/4001' }],
  ['one of a provider’s network', { observed: '/ip4/100.64.0.2/tcp/4001' }],
  ['loopback', { observed: '/ip4/127.0.0.1/tcp/4001' }],
  ['UDP', { observed: '/ip4/20.3.4.5/udp/4001' }],
  ['a name', { observed: '/dns4/example.org/tcp/4001' }],
]
for (const [what, heard] of notProof) {
  test(`${what} proves nothing, whoever says it`, () => {
    const { hear, believed } = observing()
    hear({ from: friend, ...heard })
    assert.deepEqual(believed(), [])
  })
}

test('belief ends after a day without news', () => {
  const { hear, believed, clock } = observing()
  hear({ from: friend })
  clock.advance(23 * 3_600_000)
  assert.deepEqual(believed(), [outer])
  hear({ from: friend })
  clock.advance(23 * 3_600_000)
  assert.deepEqual(believed(), [outer])
  clock.advance(2 * 3_600_000)
  assert.deepEqual(believed(), [])
})

test('of many addresses that others claim, sixteen are kept', () => {
  const { hear, believed } = observing()
  for (let at = 0; at < 1_000; at++)
    hear({ from: friend, observed: `/ip4/20.3.${at >> 8}.${at & 255}/tcp/4001` })
  assert.equal(believed().length, 16)
})
