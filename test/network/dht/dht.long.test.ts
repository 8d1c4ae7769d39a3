import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KadDHT } from '@libp2p/kad-dht'
import { systemClock } from '../../../src/clock.ts'
import { publicDhtClient } from '../../../src/network/dht/dht-client.ts'
import { newerRecords } from '../../../src/network/discovery/record-search.ts'
import { suite1 } from '../../../src/pairing/suite.ts'
import { until, within } from '../real-hosts.ts'
import {
  dhtNode,
  findNeighbours,
  lookUp,
  permissive,
  testKeys,
  testPeer,
  testRecord,
  withDht,
} from './dht-network.ts'

const inTime = () => ({ signal: AbortSignal.timeout(20_000) })
const soon = () => ({ signal: AbortSignal.timeout(20) })

test('two nodes are a DHT: what a client publishes at the one server, another client finds', async () => {
  await withDht(1, async ({ join }) => {
    const [alice, bob] = await Promise.all([join({ mode: 'client' }), join({ mode: 'client' })])
    const { routingKey, value } = await testRecord(1n)
    assert.deepEqual(await lookUp(bob.client, routingKey), [])
    assert.equal(await alice.client.publish(value, routingKey, inTime()), 1)
    const found = await lookUp(bob.client, routingKey)
    assert.deepEqual(
      found.map((bytes) => Uint8Array.from(bytes)),
      [value],
    )
  })
})

test('in a network of 10 the record is at many nodes, and the first answer need not wait for the last', async () => {
  await withDht(10, async ({ join }) => {
    const [alice, bob] = await Promise.all([join({ mode: 'client' }), join({ mode: 'client' })])
    await findNeighbours(alice)
    await until(() => alice.client.nodes >= 5, 'it knows some', 20_000)
    const { routingKey, value } = await testRecord(1n)
    const stored = await alice.client.publish(value, routingKey, inTime())
    assert.ok(stored >= 5, `stored at ${stored}`)
    let answers = 0
    for await (const found of bob.client.lookup(routingKey, inTime())) {
      assert.deepEqual(Buffer.from(found), Buffer.from(value))
      answers++
      break
    }
    assert.equal(answers, 1)
  })
})

test('alone, publishing and looking up end at once; with a node that never answers, at the signal', async () => {
  const alone = await dhtNode({ mode: 'client' })
  try {
    const { routingKey, value } = await testRecord(1n)
    assert.equal(await within(alone.client.publish(value, routingKey, inTime()), 'publish alone'), 0)
    assert.deepEqual(await within(lookUp(alone.client, routingKey), 'lookup alone'), [])
  } finally {
    await alone.libp2p.stop()
  }
  await withDht(1, async ({ servers, join }) => {
    const client = await join({ mode: 'client' })
    const { routingKey, value } = await testRecord(1n)
    for (const { libp2p } of servers) await libp2p.handle('/spacedock/kad/1.0.0', () => {}, { force: true })
    const signal = AbortSignal.timeout(300)
    assert.equal(await within(client.client.publish(value, routingKey, { signal }), 'publish', 5_000), 0)
    const lookup = AbortSignal.timeout(300)
    for await (const found of client.client.lookup(routingKey, { signal: lookup })) assert.fail(String(found))
    const aborted = { signal: AbortSignal.abort() }
    assert.equal(await client.client.publish(value, routingKey, aborted), 0)
  })
})

test('a query that is stuck ends at the signal', async () => {
  const routingTable = Object.assign(new EventTarget(), { size: 1 })
  const dht = { put: stuck, get: stuck, routingTable } as unknown as KadDHT
  const host = { services: { dht }, addEventListener: () => {}, removeEventListener: () => {} }
  const client = publicDhtClient(host, '/test/kad/1.0.0')
  const [record, routingKey] = [new Uint8Array(), new Uint8Array()]
  assert.equal(await within(client.publish(record, routingKey, soon()), 'publish'), 0)
  for await (const found of client.lookup(routingKey, soon())) assert.fail(String(found))
})

test('a query that hostile nodes keep going ends when it has asked enough of them', async () => {
  let asked = 0
  async function* endless(): AsyncGenerator<{ name: string }> {
    for (;;) {
      asked++
      yield await Promise.resolve({ name: 'SEND_QUERY' })
    }
  }
  const routingTable = Object.assign(new EventTarget(), { size: 1 })
  const dht = { put: endless, get: endless, routingTable } as unknown as KadDHT
  const host = { services: { dht }, addEventListener: () => {}, removeEventListener: () => {} }
  const client = publicDhtClient(host, '/test/kad/1.0.0')
  assert.equal(await within(client.publish(new Uint8Array(), new Uint8Array(), inTime()), 'publish'), 0)
  assert.equal(asked, 97, 'the request that would be the 97th is not made')
})

test('threat 20: junk, wrong keys and 10 KiB neither end a lookup nor delay the right record', async () => {
  const right = await testRecord(7n)
  const { routingKey } = right
  const others = { signingSeed: new Uint8Array(32).fill(8), recordKey: testKeys.recordKey }
  const wrongSigner = await testRecord(9n, { keys: others })
  // Signed by the right key and sealed with another: a thief of half the secrets.
  const wrongSeal = await testRecord(8n, { keys: { ...testKeys, recordKey: new Uint8Array(32).fill(9) } })
  const flipped = Uint8Array.from(right.value)
  flipped[100] = (flipped[100] ?? 0) ^ 1
  const values = [
    new Uint8Array(100).fill(0xff),
    new Uint8Array(0),
    new Uint8Array(10 * 1_024).fill(0x42),
    wrongSigner.value,
    wrongSeal.value,
    flipped,
  ]
  await withDht(1, async ({ join }) => {
    const hostile = []
    for (const value of values) hostile.push(await join(await permissive([{ routingKey, value }])))
    const [alice, bob] = await Promise.all([join({ mode: 'client' }), join({ mode: 'client' })])
    const all = [...hostile, alice, bob]
    await Promise.all(all.map(async ({ dht }) => dht.refreshRoutingTable()))
    await until(() => bob.client.nodes > values.length, 'all nodes are known', 60_000)

    const before = await lookUp(bob.client, routingKey)
    assert.ok(
      before.every((found) => Buffer.compare(found, wrongSeal.value) === 0),
      'what is not signed by the right key never comes out of a lookup',
    )
    assert.deepEqual(await recordsOf(bob.client, -1n), [])
    assert.ok((await alice.client.publish(right.value, routingKey, inTime())) > 0)
    assert.deepEqual(await recordsOf(bob.client, -1n), [7n])
  })
})

test('threat 20: what an honest server is asked to store is checked', async () => {
  await withDht(1, async ({ join }) => {
    const mallory = await join(await permissive())
    const bob = await join({ mode: 'client' })
    const { routingKey, value } = await testRecord(1n)
    const wrong = await testRecord(1n, { keys: { ...testKeys, signingSeed: new Uint8Array(32).fill(8) } })
    const constructor = Buffer.from(`/constructor/${'a'.repeat(32)}`)
    const puts: [Uint8Array, Uint8Array][] = [
      [routingKey, new Uint8Array(100).fill(1)],
      [routingKey, new Uint8Array(10 * 1_024)],
      [routingKey, wrong.value],
      // Its name is that of a function that every object has.
      [constructor, value],
    ]
    for (const [key, bytes] of puts) assert.equal(await mallory.client.publish(bytes, key, inTime()), 0)
    assert.equal(await mallory.client.publish(value, routingKey, inTime()), 1, 'a right one it may store')
    assert.deepEqual(await recordsOf(bob.client, -1n), [1n])
  })
})

test('threat 21: a server refuses an older record, and a lookup yields the newest that any node has', async () => {
  const [old, newer, newest] = await Promise.all([3n, 4n, 5n].map((sequence) => testRecord(sequence)))
  assert.ok(old && newer && newest)
  const { routingKey } = old
  await withDht(1, async ({ servers, join }) => {
    const [alice, mallory] = [await join({ mode: 'client' }), await join(await permissive())]
    assert.ok((await alice.client.publish(newer.value, routingKey, inTime())) >= 1)
    await mallory.client.publish(old.value, routingKey, inTime())
    const [server] = servers
    assert.ok(server)
    const held = await lookUp(alice.client, routingKey)
    assert.ok(held.some((found) => Buffer.compare(found, newer.value) === 0))

    const rolledBack = await join(await permissive([{ routingKey, value: old.value }]))
    const bob = await join({ mode: 'client' })
    await rolledBack.dht.refreshRoutingTable()
    await bob.dht.refreshRoutingTable()
    const sequences = await recordsOf(bob.client, -1n)
    assert.equal(sequences.at(-1), 4n)
    assert.deepEqual(
      sequences,
      sequences.toSorted((a, b) => Number(a - b)),
    )
    assert.deepEqual(await recordsOf(bob.client, 4n), [], 'nothing newer')
    await alice.client.publish(newest.value, routingKey, inTime())
    assert.deepEqual((await recordsOf(bob.client, 4n)).at(-1), 5n)
  })
})

async function* stuck(): AsyncGenerator<never> {
  yield await new Promise<never>(() => {})
}

/** The sequences of the records that a holder of the keys would take, in order. */
async function recordsOf(client: Parameters<typeof lookUp>[0], above: bigint): Promise<bigint[]> {
  const parts = { client, suite: suite1, clock: systemClock, log: () => {} }
  const sequences: bigint[] = []
  for await (const { content, sequence } of newerRecords(parts, testKeys, { above, ...inTime() })) {
    assert.equal(content.peer, testPeer)
    sequences.push(sequence)
  }
  return sequences
}
