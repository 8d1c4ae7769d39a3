import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerTable } from '../../../../src/network/discovery/mdns/mdns-peers.ts'
import type { PeerId } from '../../../../src/pairing/peer-id.ts'
import { asPeer } from '../../../peers.ts'

const name = (label: string): string => `${label}._p2p._udp.local`

function table(capacity?: number) {
  const lost: string[] = []
  const peers = new PeerTable((peerId) => lost.push(peerId), capacity)
  const heard = (peerId: PeerId, { on = 'eth0', as = name(peerId), ttlSeconds = 120, atMs = 0 } = {}) =>
    peers.heard(as, { peerId, addresses: [], interface: on }, ttlSeconds, atMs)
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
  peers.goodbye('eth0', name('alice'))
  assert.deepEqual(lost, [])
  peers.forgetInterface('eth1')
  assert.deepEqual(lost, ['alice'])
})

test('the goodbye of an earlier name does not end a peer that started again', () => {
  const { peers, lost, heard } = table()
  heard(asPeer('alice'), { as: name('before') })
  heard(asPeer('alice'), { as: name('after') })
  peers.goodbye('eth0', name('before'))
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
