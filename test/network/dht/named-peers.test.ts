import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import { limitNamedPeers, NamedPeers } from '../../../src/network/dht/named-peers.ts'
import { fakePeerId } from '../../threats/fake-peer-id.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const limits = { perAnswerer: 8, inAll: 20 }

test('threat 20: whoever names peers has a few on credit, and all of them together have not many more', () => {
  const named = new NamedPeers(virtualClock(), limits)
  const admitted = (answerer: string): number =>
    Array.from({ length: 100 }, (_, at) => named.admit(answerer, `${answerer} ${at}`)).filter(Boolean).length
  assert.deepEqual(['one', 'two', 'three', 'four'].map(admitted), [8, 8, 4, 0])
  assert.equal(named.admit('one', 'one 0'), true, 'the same one again is no news')
})

test('a peer that proves to be there gives the credit back, and a minute does', async () => {
  const clock = virtualClock()
  const named = new NamedPeers(clock, { perAnswerer: 1, inAll: 10 })
  assert.equal(named.admit('one', 'first'), true)
  assert.equal(named.admit('one', 'second'), false)
  named.proven('first')
  assert.equal(named.admit('one', 'second'), true)
  assert.equal(named.admit('one', 'third'), false)
  await clock.pass(60_000)
  assert.equal(named.admit('one', 'third'), true)
})

test('the DHT hears of admitted peers only, of the addresses that are usable, and of connected ones in any case', async () => {
  const [answerer, connected] = [peerIdFromString(fakePeerId()), peerIdFromString(fakePeerId())]
  const invented = Array.from({ length: 50 }, () => peerIdFromString(fakePeerId()))
  const told: unknown[] = []
  const network = {
    async *sendRequest() {
      const closer = [...invented, connected].map((id) => ({
        id,
        multiaddrs: Array.from({ length: 100 }, () => '/ip4/…'),
      }))
      yield { name: 'PEER_RESPONSE', from: answerer, closer }
    },
    safeDispatchEvent: (type: string, init?: { detail: unknown }) => told.push([type, init?.detail]) > 0,
  }
  limitNamedPeers(
    { network },
    {
      named: new NamedPeers(virtualClock(), limits),
      members: null,
      isConnected: (peer) => peer === connected,
      usable: (addresses) => addresses.slice(0, 4),
    },
  )
  network.safeDispatchEvent('peer', { detail: 'as js-libp2p does it' })
  assert.deepEqual(told, [])
  network.safeDispatchEvent('another')
  assert.deepEqual(told.splice(0), [['another', undefined]])
  for await (const { closer } of network.sendRequest()) {
    assert.deepEqual(
      closer.map(({ id }) => id),
      [...invented.slice(0, 8), connected],
    )
    assert.ok(closer.every(({ multiaddrs }) => multiaddrs.length === 4))
    assert.deepEqual(
      told,
      closer.map((peer) => ['peer', peer]),
    )
  }
})
