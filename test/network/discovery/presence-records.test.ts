import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FollowedPeer } from '../../../src/network/discovery/peer-presence.ts'
import { PresenceRecords } from '../../../src/network/discovery/presence-records.ts'
import { OtherVersionError } from '../../../src/other-version.ts'
import { presenceEpochMs, presenceKeys } from '../../../src/pairing/presence-keys.ts'
import { encodeAddressRecord, recordRoutingKey } from '../../../src/pairing/address-record.ts'
import { suite1 } from '../../../src/pairing/suite.ts'
import { turns, virtualClock, type VirtualClock } from '../../../src/testing/virtual-clock.ts'
import { hex, MemoryDht, recordParts } from './record-parts.ts'
import { asPeer } from '../../peers.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { readRecord, recordOfVersion } from '../../pairing/read-record.ts'

const alice = asPeer('12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss')
const bob = asPeer('12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN')
const pairKey = new Uint8Array(32).fill(7)
/** The virtual clock starts 4.2 h into it. */
const firstEpoch = Math.floor(1_700_000_000_000 / presenceEpochMs)

test('two devices that both moved find each other by their records', async () => {
  const clock = virtualClock()
  const client = new MemoryDht()
  const [a, b] = [device(alice, bob, { clock, client }), device(bob, alice, { clock, client })]
  a.presence.start()
  b.presence.start()
  await clock.pass(60_000)
  assert.deepEqual(a.addressesOf(bob), ['/ip4/192.0.2.1/tcp/4001'])
  a.parts.moveTo(['/ip4/198.51.100.1/tcp/4001'])
  b.parts.moveTo(['/ip4/203.0.113.2/tcp/4001'])
  a.presence.look()
  b.presence.look()
  await clock.pass(60_000)
  assert.deepEqual(a.addressesOf(bob), ['/ip4/203.0.113.2/tcp/4001'])
  assert.deepEqual(b.addressesOf(alice), ['/ip4/198.51.100.1/tcp/4001'])
  assert.deepEqual(a.found.at(-1), bob)
  await Promise.all([a.presence.stop(), b.presence.stop()])
  assert.deepEqual([clock.pending(), client.listeners, a.parts.addressListeners], [0, 0, 0])
})

test('a device that is connected is not looked for, and looked for at once when it is gone', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  a.connected.add(bob)
  a.presence.start()
  await clock.pass(3_600_000)
  const own = a.client.lookups.splice(0)
  assert.deepEqual(own, [await routingKeyOf(alice, firstEpoch)], 'its own, in case there is one')
  assert.ok(a.client.published.length > 0, 'its own record is there nevertheless')
  a.connected.delete(bob)
  a.peers.get(bob)?.presence?.look()
  await turns()
  assert.equal(a.client.lookups.length, 3, 'previous, current and next epoch')
  await a.presence.stop()
})

test('a device whose record only another version can read is told of, and not found', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  const foreign = await recordOfVersion(presenceKeys(suite1, pairKey, bob, firstEpoch), 3)
  const routingKey = await routingKeyOf(bob, firstEpoch)
  a.client.answers = (asked) => (asked === routingKey ? [foreign] : [])
  a.presence.start()
  await clock.pass(100)
  assert.deepEqual([a.otherVersions, a.found], [[[bob, 3]], []])
  assert.equal(a.peers.get(bob)?.presence?.unreadVersion, 3)
  await a.presence.stop()
})

test('looks less and less often for a device that stays away', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  a.presence.start()
  await clock.pass(60_000)
  const soon = a.client.lookups.length / 3
  assert.ok(soon >= 4 && soon <= 8, `${soon} in the first minute`)
  await clock.pass(3_600_000)
  a.client.lookups.length = 0
  await clock.pass(3_600_000)
  const later = a.client.lookups.length / 3
  assert.ok(later >= 8 && later <= 18, `${later} in an hour`)
  await a.presence.stop()
})

test('the current epoch is published, and the neighbours are read too, all under the keys of their writer', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  a.presence.start()
  await turns()
  assert.deepEqual(
    a.client.published.map(({ routingKey }) => routingKey),
    [await routingKeyOf(alice, firstEpoch)],
  )
  const read = await Promise.all([0, -1, 1].map((offset) => routingKeyOf(bob, firstEpoch + offset)))
  const own = await routingKeyOf(alice, firstEpoch)
  assert.deepEqual(a.client.lookups.filter((key) => key !== own).toSorted(), read.toSorted())
  await a.presence.stop()
})

test('a restart within the same ten seconds, or with a clock that was set back, goes on counting', async () => {
  const client = new MemoryDht()
  const publish = async (sinceMs: number): Promise<void> => {
    const clock = virtualClock()
    clock.sleep(firstEpoch * presenceEpochMs - clock.wall() + sinceMs)
    const a = device(alice, bob, { clock, client })
    a.presence.start()
    await clock.pass(1_000)
    await a.presence.stop()
  }
  await publish(3_600_000)
  await publish(3_601_000)
  await publish(1_000)
  const keys = presenceKeys(suite1, pairKey, alice, firstEpoch)
  const read = client.published.map(async ({ record }) => readRecord(keys, record))
  assert.deepEqual(
    (await Promise.all(read)).map((record) => record?.sequence),
    [360n, 361n, 362n],
  )
})

test('threat 38: when the epoch ends, so does the use of its key, after a time that is not the same for all', async () => {
  const clock = virtualClock()
  let epochs = 0
  const a = device(alice, bob, { clock, onEpoch: () => epochs++ })
  a.presence.start()
  await clock.pass(presenceEpochMs)
  assert.equal(epochs, 1)
  await clock.pass(200_000)
  const before = a.client.published.length
  await clock.pass(presenceEpochMs / 6)
  const keys = new Set(a.client.published.slice(before).map(({ routingKey }) => routingKey))
  assert.equal(keys.size, 1)
  assert.ok(keys.has(await routingKeyOf(alice, Math.floor(clock.wall() / presenceEpochMs))))
  assert.equal(new Set(a.client.published.map(({ routingKey }) => routingKey)).size, 2)
  await a.presence.stop()
})

test('threat 38: an epoch that ends while the machine sleeps, or because somebody sets the clock, has ended before anything is asked', async () => {
  const clock = virtualClock()
  const heard: string[] = []
  const a = device(alice, bob, {
    clock,
    onEpoch: () => heard.push(`epoch after ${a.client.published.length}`),
  })
  a.presence.start()
  await clock.pass(60_000)
  const published = a.client.published.length
  assert.ok(published > 0)
  clock.sleep(presenceEpochMs)
  // The timer of the epoch is hours away; the next publication is not.
  await clock.pass(15 * 60_000)
  assert.deepEqual(heard, [`epoch after ${published}`])
  clock.sleep(presenceEpochMs)
  a.presence.look()
  assert.equal(heard.length, 2)
  a.presence.look()
  assert.equal(heard.length, 2, 'once for an epoch')
  await a.presence.stop()
  clock.sleep(presenceEpochMs)
  a.presence.look()
  assert.equal(heard.length, 2)
})

test('a record counts for the peer that it is read for, and a newer epoch more than a higher sequence', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  const records = new Map<string, Uint8Array>()
  const write = async (epoch: number, sequence: bigint, peer: PeerId, last: number) => {
    const keys = presenceKeys(suite1, pairKey, bob, epoch)
    const content = { peer, addresses: [`/ip4/203.0.113.${last}/tcp/4001`, '/ip4/127.0.0.1/tcp/22'] }
    const stamp = { sequence, validUntil: '2026-12-01T00:00:00Z', nonce: new Uint8Array(32).fill(last) }
    records.set(hex(await recordRoutingKey(keys)), await encodeAddressRecord(suite1, keys, content, stamp))
  }
  a.client.answers = (routingKey) => [records.get(routingKey) ?? []].flat()
  await write(firstEpoch, 50n, alice, 66)
  a.presence.start()
  await clock.pass(100)
  assert.deepEqual(a.addressesOf(bob), [])
  await write(firstEpoch, 51n, bob, 1)
  await write(firstEpoch - 1, 2_000n, bob, 2)
  a.presence.look()
  await clock.pass(100)
  assert.deepEqual(a.addressesOf(bob), ['/ip4/203.0.113.1/tcp/4001'])
  await write(firstEpoch + 1, 0n, bob, 3)
  a.presence.look()
  await clock.pass(100)
  assert.deepEqual(a.addressesOf(bob), ['/ip4/203.0.113.3/tcp/4001'])
  await write(firstEpoch, 2_100n, bob, 4)
  a.presence.look()
  await clock.pass(100)
  assert.deepEqual(a.addressesOf(bob), ['/ip4/203.0.113.3/tcp/4001'], 'older, whatever its sequence')
  await a.presence.stop()
})

test('a device that is revoked is neither published for nor looked for any more', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  a.presence.start()
  await clock.pass(1_000)
  a.trust(bob, null)
  await turns()
  const before = [a.client.published.length, a.client.lookups.length]
  await clock.pass(3_600_000)
  assert.deepEqual([a.client.published.length, a.client.lookups.length], before)
  assert.deepEqual(a.addressesOf(bob), [])
  a.trust(bob, new Uint8Array(32).fill(8))
  await clock.pass(1_000)
  assert.ok(a.client.published.length > (before[0] ?? 0), 'paired again, under another key')
  await a.presence.stop()
})

test('a device that is paired again under another key is followed under that one, and under it alone', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  a.presence.start()
  await clock.pass(1_000)
  const before = a.peers.get(bob)?.presence
  a.trust(bob, new Uint8Array(32).fill(7))
  assert.equal(a.peers.get(bob)?.presence, before, 'the same key changes nothing')
  a.trust(bob, new Uint8Array(32).fill(8))
  assert.notEqual(a.peers.get(bob)?.presence, before)
  await clock.pass(1_000)
  a.client.published.length = 0
  a.client.lookups.length = 0
  await clock.pass(3_600_000)
  const old = await Promise.all([alice, bob].map((writer) => routingKeyOf(writer, firstEpoch)))
  const asked = [...a.client.published.map(({ routingKey }) => routingKey), ...a.client.lookups]
  assert.ok(asked.length > 0)
  assert.ok(asked.every((key) => !old.includes(key)))
  await a.presence.stop()
})

test('many devices are not asked for at the same time', async () => {
  const clock = virtualClock()
  const a = device(alice, bob, { clock })
  for (let at = 0; at < 50; at++) a.trust(asPeer(`${bob}${at}`), new Uint8Array(32).fill(at))
  let running = 0
  let most = 0
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  a.client.publish = async () => {
    most = Math.max(most, ++running)
    await answered
    running--
    return 3
  }
  a.presence.start()
  await turns(50)
  assert.ok(most >= 2 && most <= 4, `${most} at once`)
  answer()
  await turns(200)
  assert.equal(running, 0)
  await a.presence.stop()
})

/** No keys of their own yet: those that follow from the pairing are used. */
const fromPairing = { originOf: () => 'pairing' as const, writerKeys: () => null, readerKeys: () => null }

function device(
  peer: PeerId,
  other: PeerId,
  {
    clock,
    client = new MemoryDht(),
    onEpoch = () => {},
  }: { clock: VirtualClock; client?: MemoryDht; onEpoch?: () => void },
) {
  const parts = recordParts(peer, { client, clock })
  const peers = new Map<PeerId, FollowedPeer>()
  const connected = new Set<string>()
  const found: string[] = []
  const otherVersions: [peer: string, version: number | undefined][] = []
  const presence = new PresenceRecords({ records: parts, peers, onEpoch, keys: fromPairing })
  const keys = new Map<PeerId, Uint8Array | null>()
  const known = (id: PeerId): FollowedPeer => ({
    id,
    get pairKey() {
      return keys.get(id) ?? null
    },
    get isWellConnected() {
      return connected.has(id)
    },
    presence: null,
    sighted: () => found.push(id),
    refused: (failure) => {
      assert.ok(failure instanceof OtherVersionError)
      otherVersions.push([id, failure.versions[0]])
    },
  })
  const trust = (id: PeerId, key: Uint8Array | null): void => {
    keys.set(id, key)
    if (!peers.has(id)) peers.set(id, known(id))
    presence.peersChanged()
  }
  trust(other, pairKey)
  const addressesOf = (id: PeerId): readonly string[] => peers.get(id)?.presence?.addresses ?? []
  return { parts, client, peers, connected, found, otherVersions, presence, trust, addressesOf }
}

async function routingKeyOf(writer: string, epoch: number): Promise<string> {
  return hex(await recordRoutingKey(presenceKeys(suite1, pairKey, writer, epoch)))
}
