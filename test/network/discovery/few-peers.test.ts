import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DhtRendezvous } from '../../../src/network/discovery/dht.ts'
import { fewPeers } from '../../../src/network/discovery/few-peers.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { MemoryDht, recordParts } from './record-parts.ts'
import { asPeer } from '../../peers.ts'

const initiator = asPeer('12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss')
const joiners = [
  '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
  '12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p',
  '12D3KooWCd3eX8r5ihRvzK7P1yPq5aakaBJhG5GNj18YTztPhoCa',
]
const keys = { signingSeed: new Uint8Array(32).fill(3), recordKey: new Uint8Array(32).fill(4) }

test('joiners that try one code after the other are found, until there are too many; a search that ends leaves nothing', async () => {
  const clock = virtualClock()
  const client = new MemoryDht()
  const looking = new AbortController()
  const found = new Set<string>()
  const source = fewPeers(
    new DhtRendezvous(recordParts(initiator, { client, clock })).source(keys, { awaits: 'joiner' }),
    2,
  )
  const search = source.find({
    signal: looking.signal,
    onCandidate: ({ peer }) => found.add(peer),
    onStatus: () => {},
  })
  for (const joiner of joiners) {
    const joining = new AbortController()
    const rendezvous = new DhtRendezvous(recordParts(asPeer(joiner), { client, clock }))
    const published = rendezvous.publish(keys, { signal: joining.signal, mayExist: true, onStatus: () => {} })
    await clock.pass(30_000)
    joining.abort()
    await published
  }
  assert.deepEqual([...found], joiners.slice(0, 2))
  looking.abort()
  await search
  assert.equal(clock.pending(), 0)
})
