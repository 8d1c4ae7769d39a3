import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CodeRecords } from '../../../src/network/discovery/code-records.ts'
import type { FoundPeer } from '../../../src/network/discovery/candidate-sources.ts'
import {
  encodeAddressRecord,
  type AddressRecordContent,
  type AddressRecordKeys,
} from '../../../src/pairing/address-record.ts'
import { suite1 } from '../../../src/pairing/suite.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { MemoryDht, recordParts, type TestParts } from './record-parts.ts'
import { asPeer } from '../../peers.ts'
import { readRecord, recordOfVersion } from '../../pairing/read-record.ts'

const alice = asPeer('12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss')
const bob = asPeer('12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN')
const keys: AddressRecordKeys = {
  signingSeed: new Uint8Array(32).fill(1),
  recordKey: new Uint8Array(32).fill(2),
}
const home = '/ip4/203.0.113.7/tcp/4001'

test('what the initiator publishes, the joiner finds: whoever of them was first', async () => {
  for (const first of ['initiator', 'joiner']) {
    const clock = virtualClock()
    const client = new MemoryDht()
    const stop = new AbortController()
    let published = Promise.resolve()
    const publish = () => {
      published = publishing(recordParts(alice, { client, clock }), stop.signal).ended
    }
    if (first === 'initiator') publish()
    await clock.pass(30_000)
    const joiner = searching(recordParts(bob, { client, clock }), stop.signal)
    await clock.pass(first === 'initiator' ? 10 : 30_000)
    if (first === 'joiner') {
      assert.deepEqual(joiner.found, [])
      publish()
      await clock.pass(7_000)
    }
    assert.deepEqual(
      joiner.found,
      [{ peer: alice, addresses: ['/ip4/192.0.2.1/tcp/4001'], urgent: true }],
      first,
    )
    assert.deepEqual(joiner.statuses.at(-1), ['ready', 'found the other device'])
    stop.abort()
    await Promise.all([joiner.ended, published])
    assert.equal(clock.pending(), 0, 'no timer is left')
    assert.equal(client.listeners, 0)
  }
})

test('a joiner looks at once, then every few seconds, until it is told to stop', async () => {
  const clock = virtualClock()
  const parts = recordParts(bob, { clock })
  const stop = new AbortController()
  const { ended } = searching(parts, stop.signal)
  await turns()
  assert.equal(parts.client.lookups.length, 1)
  await clock.pass(60_000)
  const looks = parts.client.lookups.length
  assert.ok(looks >= 12 && looks <= 35, `${looks} lookups in a minute`)
  stop.abort()
  await ended
  await clock.pass(60_000)
  assert.equal(parts.client.lookups.length, looks)
})

test('a record that only another version can read is told of, and the search goes on', async () => {
  const clock = virtualClock()
  const parts = recordParts(bob, { clock })
  const foreign = await recordOfVersion(keys, 2)
  const known = await encoded({ peer: alice, addresses: [addressOf(1)] }, 1n)
  parts.client.answers = () => [foreign]
  const stop = new AbortController()
  const { found, otherVersions, ended } = searching(parts, stop.signal)
  await clock.pass(1)
  assert.deepEqual([otherVersions, found], [[2], []])
  parts.client.answers = () => [foreign, known]
  await clock.pass(10_000)
  assert.deepEqual(
    found.map(({ peer }) => peer),
    [alice],
  )
  stop.abort()
  await ended
})

test('an initiator looks for the joiner some 25 times in five minutes, and at once when it is somewhere else', async () => {
  const clock = virtualClock()
  const parts = recordParts(alice, { clock })
  const stop = new AbortController()
  const { ended, rendezvous } = searching(parts, stop.signal, 'joiner')
  const looks = async (ms: number): Promise<number> => {
    const before = parts.client.lookups.length
    await clock.pass(ms)
    return parts.client.lookups.length - before
  }
  // 0, 0.5, 1.5, 3.5 s, each pause half as long or one and a half times as long.
  const first = await looks(6_000)
  assert.ok(first >= 4 && first <= 6, `${first} lookups in the first seconds`)
  const later = await looks(294_000)
  assert.ok(later >= 12 && later <= 32, `${later} more in five minutes`)
  // A node that comes is no news to whoever has asked others.
  parts.client.nodeCame()
  assert.equal(await looks(0), 0)
  rendezvous.look()
  assert.equal(await looks(0), 1)
  const again = await looks(6_000)
  assert.ok(again >= 3 && again <= 5, `${again} lookups in the seconds after that`)
  stop.abort()
  await ended
  rendezvous.look()
  await turns()
  assert.equal(clock.pending(), 0)
})

test('threat 21: a reader keeps what is newest, whatever comes later', async () => {
  const clock = virtualClock()
  const parts = recordParts(bob, { clock })
  const record = async (sequence: number) =>
    encoded({ peer: alice, addresses: [addressOf(sequence)] }, BigInt(sequence))
  const [one, three, two, four] = await Promise.all([1, 3, 2, 4].map(record))
  assert.ok(one && two && three && four)
  let answers = [three, one, two, three]
  parts.client.answers = () => answers
  const stop = new AbortController()
  const { found, ended } = searching(parts, stop.signal)
  await clock.pass(2_000)
  const seen = () => found.map(({ addresses }) => addresses[0])
  assert.deepEqual(seen(), [addressOf(3)])
  answers = [one, two]
  await clock.pass(60_000)
  assert.deepEqual(seen(), [addressOf(3)])
  answers = [two, four, three]
  await clock.pass(30_000)
  assert.deepEqual(seen(), [addressOf(3), addressOf(4)])
  stop.abort()
  await ended
})

test('threat 20: of what the DHT answers, only what a holder of the words wrote becomes a candidate', async () => {
  const clock = virtualClock()
  const parts = recordParts(bob, { clock })
  const thousand = Array.from({ length: 1_000 }, (_, at) => `/ip4/203.0.${at >> 8}.${at & 255}/tcp/1`)
  const right = await encoded({ peer: alice, addresses: [...thousand, home] }, 5n)
  const wrongKeys = { ...keys, recordKey: new Uint8Array(32).fill(9) }
  parts.client.answers = () => [
    new Uint8Array(10 * 1_024),
    ...Array.from({ length: 1_000 }, (_, at) => new Uint8Array(at % 300).fill(at)),
    ...wrong,
    right,
  ]
  const wrong = await Promise.all([
    encoded({ peer: alice, addresses: [home] }, 9n, wrongKeys),
    encoded({ peer: bob, addresses: [home] }, 1n),
    encoded({ peer: 'QmNotAPeerId', addresses: [home] }, 2n),
  ])
  const stop = new AbortController()
  const { found, ended } = searching(parts, stop.signal)
  await clock.pass(100)
  assert.equal(found.length, 1)
  assert.equal(found[0]?.peer, alice)
  assert.equal(found[0]?.addresses.length, 12)
  stop.abort()
  await ended
})

test('threat 22: of the addresses in a record, the joiner gets those it may dial', async () => {
  const clock = virtualClock()
  const parts = recordParts(bob, { clock })
  const content = {
    peer: alice,
    addresses: [
      '/ip4/127.0.0.1/tcp/22',
      '/ip4/169.254.169.254/tcp/80',
      `${home}/p2p/${bob}`,
      home,
      '/ip6/fe80::1/tcp/1',
    ],
  }
  const right = await encoded(content, 5n)
  parts.client.answers = () => [right]
  const stop = new AbortController()
  const { found, ended } = searching(parts, stop.signal)
  await clock.pass(100)
  assert.deepEqual(found, [{ peer: alice, addresses: [home], urgent: true }])
  stop.abort()
  await ended
})

test('publishes at once, on a change of address, and again and again, with a higher sequence each time', async () => {
  const clock = virtualClock()
  const parts = recordParts(alice, { clock })
  const stop = new AbortController()
  const { statuses, ended } = publishing(parts, stop.signal)
  await turns()
  assert.deepEqual(await contents(parts), [[1n, ['/ip4/192.0.2.1/tcp/4001']]])
  assert.deepEqual(statuses, [['ready', 'published to 3 nodes']])
  await clock.pass(10_000)
  parts.moveTo([home, '/ip4/127.0.0.1/tcp/4001'])
  parts.moveTo([home, '/ip4/10.0.0.7/tcp/4001', '/ip4/127.0.0.1/tcp/4001'])
  await clock.pass(1_000)
  parts.moveTo([home, '/ip4/10.0.0.7/tcp/4001'])
  await clock.pass(1_000)
  const moved = [home, '/ip4/10.0.0.7/tcp/4001']
  assert.deepEqual((await contents(parts)).slice(1), [[2n, moved]], 'loopback is no news')
  await clock.pass(15 * 60_000)
  const all = await contents(parts)
  assert.ok(all.length >= 5 && all.length <= 10, `${all.length} times in 15 minutes`)
  assert.deepEqual(
    all.map(([sequence]) => sequence),
    all.map((_, at) => BigInt(at + 1)),
  )
  assert.equal(statuses.length, 1, 'the same is said once')
  stop.abort()
  await ended
  await clock.pass(15 * 60_000)
  assert.equal(parts.client.published.length, all.length)
  assert.deepEqual([parts.addressListeners, parts.client.listeners, clock.pending()], [0, 0, 0])
})

test('without a node it says so after a moment, and publishes as soon as there is one', async () => {
  const clock = virtualClock()
  const parts = recordParts(alice, { clock })
  parts.client.nodes = 0
  const stop = new AbortController()
  const { statuses, ended } = publishing(parts, stop.signal)
  await clock.pass(1_000)
  assert.deepEqual(statuses, [])
  await clock.pass(10_000)
  assert.deepEqual(statuses, [['unavailable', 'no rendezvous node can be reached']])
  parts.client.copies = 1
  parts.client.nodeCame()
  await clock.pass(100)
  assert.deepEqual(statuses.at(-1), ['ready', 'published to 1 node'])
  const published = parts.client.published.length
  parts.client.copies = 2
  parts.client.nodeCame()
  await clock.pass(1_000)
  assert.equal(parts.client.published.length, published + 1, 'the node that came has it too')
  assert.deepEqual(statuses.at(-1), ['ready', 'published to 2 nodes'])
  stop.abort()
  await ended
})

test('what no node takes is tried again, later each time', async () => {
  const clock = virtualClock()
  const parts = recordParts(alice, { clock })
  parts.client.copies = 0
  const stop = new AbortController()
  const { statuses, ended } = publishing(parts, stop.signal)
  await clock.pass(10 * 60_000)
  assert.deepEqual(statuses, [['unavailable', 'no rendezvous node took the record']])
  const tries = parts.client.published.length
  assert.ok(tries >= 10 && tries <= 60, `${tries} tries in 10 minutes`)
  parts.client.copies = 3
  await clock.pass(60_000)
  assert.deepEqual(statuses.at(-1), ['ready', 'published to 3 nodes'])
  parts.moveTo([])
  await clock.pass(1_000)
  assert.deepEqual(statuses.at(-1), ['unavailable', 'this device has no address for others'])
  stop.abort()
  await ended
})

test('all that everybody can read of a record is rounded', async () => {
  const clock = virtualClock()
  const parts = recordParts(alice, { clock })
  const stop = new AbortController()
  const { ended } = publishing(parts, stop.signal)
  await turns()
  const text = Buffer.from(parts.client.published[0]?.record ?? []).toString('latin1')
  const validity = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/u.exec(text)?.[0] ?? ''
  const aheadMs = Date.parse(validity) - clock.wall()
  assert.equal(Date.parse(validity) % (6 * 3_600_000), 0)
  assert.ok(aheadMs > 42 * 3_600_000 && aheadMs <= 48 * 3_600_000)
  stop.abort()
  await ended
})

function addressOf(sequence: number): string {
  return `/ip4/203.0.113.${sequence}/tcp/4001`
}

function publishing(parts: TestParts, signal: AbortSignal) {
  const statuses: [string, string][] = []
  const ended = new CodeRecords(parts).publish(keys, {
    signal,
    onStatus: (status, detail) => statuses.push([status, detail]),
  })
  return { statuses, ended }
}

function searching(parts: TestParts, signal: AbortSignal, awaits: 'initiator' | 'joiner' = 'initiator') {
  const found: FoundPeer[] = []
  const otherVersions: number[] = []
  const statuses: [string, string][] = []
  const rendezvous = new CodeRecords(parts)
  const source = rendezvous.source(keys, {
    awaits,
    onOtherVersion: (version) => otherVersions.push(version),
  })
  assert.equal(source.name, 'internet')
  const ended = source.find({
    signal,
    onCandidate: (candidate) => found.push(candidate),
    onStatus: (_source, status, detail) => statuses.push([status, detail]),
  })
  return { found, statuses, otherVersions, ended, rendezvous }
}

async function encoded(content: AddressRecordContent, sequence: bigint, under = keys): Promise<Uint8Array> {
  const stamp = {
    sequence,
    validUntil: '2026-12-01T00:00:00Z',
    nonce: new Uint8Array(32).fill(Number(sequence)),
  }
  return encodeAddressRecord(suite1, under, content, stamp)
}

async function contents({ client }: TestParts): Promise<[bigint, string[]][]> {
  const all = await Promise.all(client.published.map(async ({ record }) => readRecord(keys, record)))
  return all.map((one) => {
    assert.equal(one?.content.peer, alice)
    return [one?.sequence ?? -1n, one?.content.addresses ?? []]
  })
}
