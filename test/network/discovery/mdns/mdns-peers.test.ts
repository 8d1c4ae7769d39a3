import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerTable } from '../../../../src/network/discovery/mdns/mdns-peers.ts'
import type { PeerId } from '../../../../src/pairing/peer-id.ts'
import { asPeer } from '../../../peers.ts'

const name = (label: string): string => `${label}._p2p._udp.local`

function table(capacity?: number) {
  const lost: string[] = []
  const peers = new PeerTable((peerId) => lost.push(peerId), capacity)
  const heard = (
    peerId: PeerId,
    {
      on = 'eth0',
      as = name(peerId),
      from = '10.0.0.2',
      addresses = [] as string[],
      ttlSeconds = 120,
      atMs = 0,
    } = {},
  ) => peers.heard(as, { peerId, addresses, interface: on, sender: from, marks: null }, ttlSeconds, atMs)
  return { peers, lost, heard }
}

test('a peer is known while more than half of its lifetime is left, on the interface it was heard on', () => {
  const { peers, heard } = table()
  heard(asPeer('alice'))
  heard(asPeer('bob'), { on: 'eth1' })
  assert.deepEqual(peers.known('eth0', 0), [{ name: name('alice'), ttlSeconds: 120 }])
  assert.deepEqual(peers.known('eth0', 59_999), [{ name: name('alice'), ttlSeconds: 60 }])
  assert.deepEqual(peers.known('eth0', 60_000), [])
})

test('a name that is another in each answer is of no use as a known answer', () => {
  const { peers, heard } = table()
  heard(asPeer('rust'), { as: 'yc2kf6scjgqpwjdwxyk8' })
  assert.deepEqual(peers.known('eth0', 0), [])
  assert.equal(peers.sightings().length, 1)
})

test('a peer is lost when the last interface it was heard on loses it', () => {
  const { peers, lost, heard } = table()
  heard(asPeer('alice'))
  heard(asPeer('alice'), { on: 'eth1' })
  peers.goodbye('eth0', '10.0.0.2', name('alice'))
  assert.deepEqual(lost, [])
  peers.forgetInterface('eth1')
  assert.deepEqual(lost, ['alice'])
})

test('the goodbye of an earlier name does not end a peer that started again', () => {
  const { peers, lost, heard } = table()
  heard(asPeer('alice'), { as: name('before') })
  heard(asPeer('alice'), { as: name('after') })
  peers.goodbye('eth0', '10.0.0.2', name('before'))
  assert.deepEqual(lost, [])
  assert.equal(peers.sightings().length, 1)
})

test('lifetimes are honoured, prolonged by hearing again, and never longer than 75 minutes', () => {
  const { peers, lost, heard } = table()
  heard(asPeer('alice'), { ttlSeconds: 10 })
  heard(asPeer('alice'), { ttlSeconds: 10, atMs: 9_000 })
  heard(asPeer('forever'), { ttlSeconds: 2 ** 32 - 1 })
  peers.expire(18_999)
  assert.deepEqual(lost, [])
  assert.equal(peers.nextExpiryAtMs(), 19_000)
  peers.expire(19_000)
  assert.deepEqual(lost, ['alice'])
  peers.expire(75 * 60_000)
  assert.deepEqual(lost, ['alice', 'forever'])
  assert.equal(peers.nextExpiryAtMs(), Infinity)
})

test('beyond its capacity, the peer that was not heard for longest is forgotten', () => {
  const { peers, lost, heard } = table(2)
  heard(asPeer('alice'))
  heard(asPeer('bob'))
  heard(asPeer('alice'))
  heard(asPeer('carol'))
  assert.deepEqual(lost, ['bob'])
  assert.equal(peers.sightings().length, 2)
})

test('threat 44: what one sender says of a peer takes neither its addresses nor itself from another', () => {
  const { peers, lost, heard } = table()
  heard(asPeer('alice'), { from: '10.0.0.2', addresses: ['/ip4/10.0.0.2/tcp/1'] })
  heard(asPeer('alice'), { from: '10.0.0.9', addresses: ['/ip4/10.0.0.66/tcp/1'] })
  peers.goodbye('eth0', '10.0.0.9', name('alice'))
  assert.deepEqual(lost, [])
  assert.deepEqual(peers.addressesOf(asPeer('alice')), ['/ip4/10.0.0.2/tcp/1'])
})

test('threat 44: addresses that a packet came from are the first, then each sender has its turn', () => {
  const { peers, heard } = table()
  const invented = Array.from({ length: 16 }, (_, at) => `/ip4/10.0.0.${100 + at}/tcp/1`)
  heard(asPeer('alice'), { from: '10.0.0.9', addresses: invented })
  const own = ['/ip4/10.0.0.2/tcp/1', '/ip4/10.1.0.2/tcp/1']
  heard(asPeer('alice'), { from: '10.0.0.2', addresses: own })
  for (let look = 0; look < 4; look++) {
    const addresses = peers.addressesOf(asPeer('alice'))
    assert.equal(addresses.length, 16)
    assert.equal(addresses[0], own[0])
    assert.ok(addresses.indexOf(own[1] ?? '') < 4)
  }
})

test('threat 44: of very many senders that claim a peer, each comes first in its turn', () => {
  const { peers, heard } = table()
  for (let sender = 1; sender <= 40; sender++) {
    heard(asPeer('alice'), { from: `10.0.0.${sender}`, addresses: [`/ip4/10.0.0.${sender}/tcp/1`] })
  }
  const first = new Set(Array.from({ length: 40 }, () => peers.addressesOf(asPeer('alice'))[0]))
  assert.equal(first.size, 40)
})

test('threat 44: a sender of very many peers pushes out its own, and nobody else’s', () => {
  const { peers, lost, heard } = table(10)
  heard(asPeer('alice'), { from: '10.0.0.2' })
  for (let peer = 0; peer < 100; peer++) heard(asPeer(`invented${peer}`), { from: '10.0.0.9' })
  assert.ok(!lost.includes('alice'))
  assert.equal(peers.sightings().length, 10)
})
