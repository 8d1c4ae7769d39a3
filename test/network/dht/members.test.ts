import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Members } from '../../../src/network/dht/members.ts'
import { until } from '../real-hosts.ts'
import { dhtNode, testRecord, type DhtNode } from './dht-network.ts'

test('members are the configured nodes and those that these name; what others name counts for nothing', () => {
  const members = new Members(new Set(['a', 'b']))
  members.named('stranger', ['x'])
  assert.equal(members.has('x'), false)
  members.named('a', ['c', 'b'])
  assert.ok(['a', 'b', 'c'].every((peer) => members.has(peer)))
  members.named('c', ['d'])
  assert.equal(members.has('d'), false, 'a named node names nobody')
  members.named('a', [])
  assert.equal(members.has('c'), false, 'what a node named before is replaced')
})

test('threat 45: a configured node names eight others, and all of them together sixteen', () => {
  const members = new Members(new Set(['a', 'b', 'c']))
  const admitted = (name: string): number => {
    const peers = Array.from({ length: 100 }, (_, at) => `${name} ${at}`)
    members.named(name, peers)
    return peers.filter((peer) => members.has(peer)).length
  }
  assert.deepEqual(['a', 'b', 'c'].map(admitted), [8, 8, 0])
  members.named('a', ['b 0'])
  assert.equal(admitted('c'), 8, 'what one gives up is free')
})

test('a device learns the other nodes from the one that it is given, and asks no stranger', async () => {
  const nodes: DhtNode[] = []
  const start = async (...options: Parameters<typeof dhtNode>): Promise<DhtNode> => {
    const node = await dhtNode(...options)
    nodes.push(node)
    return node
  }
  try {
    const [second, stranger] = [await start(), await start()]
    const first = await start({ configured: new Set([second.libp2p.peerId.toString()]) })
    await first.libp2p.dial(second.libp2p.getMultiaddrs())
    await stranger.libp2p.dial(first.libp2p.getMultiaddrs())
    await until(() => first.client.nodes === 1, 'the first knows the second')
    const device = await start({ mode: 'client', configured: new Set([first.libp2p.peerId.toString()]) })
    await stranger.libp2p.dial(first.libp2p.getMultiaddrs())
    await device.libp2p.dial(first.libp2p.getMultiaddrs())
    await until(() => device.client.nodes === 2, 'the device knows both')
    const { routingKey, value } = await testRecord(1n)
    const signal = AbortSignal.timeout(10_000)
    assert.equal(await device.client.publish(value, routingKey, { signal }), 2)
    assert.equal(first.client.nodes, 1)
  } finally {
    await Promise.all(nodes.map(async ({ libp2p }) => libp2p.stop()))
  }
})
