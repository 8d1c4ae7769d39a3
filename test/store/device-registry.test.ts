import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceState } from '../../src/api.ts'
import { deviceIdOf } from '../../src/store/device-id.ts'
import type { DeviceRegistry } from '../../src/store/device-registry.ts'
import { openMemoryStore, openStore, type Store } from '../../src/store/store.ts'
import { activeRecord, alice, assertFails, bob, carol, deviceInfo, peerIdOf, queue } from './fixtures.ts'
import { pendingRecord, temporaryDirectory } from './fixtures.ts'
import { asPeer } from '../peers.ts'

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)
const now = '2026-01-02T03:04:05.000Z'
const address = '/ip4/192.0.2.1/tcp/4001'
const direct = { path: 'direct', address } as const
const memoryStore = (): Store => openMemoryStore({ clock: { wall: () => nowMs, monotonic: () => 0 } })

function changesOf(registry: DeviceRegistry): [DeviceState | null, DeviceState][] {
  const changes: [DeviceState | null, DeviceState][] = []
  registry.onChange((before, device) => changes.push([before, device.state]))
  return changes
}

test('a device goes through its life, and every change of state is told once', () => {
  const { registry, trust } = memoryStore()
  const changes = changesOf(registry)
  registry.sighted(alice, [address])
  registry.sighted(alice, [address])
  registry.pairing(alice, true)
  trust.put(pendingRecord(alice, 'alice'))
  trust.activate(alice)
  registry.pairing(alice, false)
  registry.connected(alice, direct)
  registry.disconnected(alice)
  registry.connected(alice, direct)
  registry.markNeedsPairing(alice)
  trust.put(pendingRecord(alice, 'alice'))
  trust.activate(alice)
  registry.revoke(alice)
  trust.put(pendingRecord(alice, 'alice'))
  trust.activate(alice)
  registry.disconnected(alice)
  trust.remove(alice)
  assert.deepEqual(changes, [
    [null, 'discovered'],
    ['discovered', 'pairing'],
    ['pairing', 'paired'],
    ['paired', 'connected'],
    ['connected', 'disconnected'],
    ['disconnected', 'connected'],
    ['connected', 'needs-pairing'],
    ['needs-pairing', 'connected'],
    ['connected', 'revoked'],
    ['revoked', 'connected'],
    ['connected', 'disconnected'],
    ['disconnected', 'discovered'],
  ])
})

test('what changes while the state stays is told apart: the path, and what else is worth it', () => {
  const { registry, trust } = memoryStore()
  trust.put(activeRecord(alice, 'alice'))
  const updates: unknown[] = []
  const stop = registry.onUpdate((what, { state, path, roundTripMs, lastFailure }) =>
    updates.push([what, state, path, roundTripMs, lastFailure?.message ?? null]),
  )
  const noAnswer = { code: 'offline', message: 'No answer.' }
  registry.disconnected(alice, noAnswer)
  registry.disconnected(alice, noAnswer)
  registry.disconnected(alice, { code: 'no-network', message: 'No network.' })
  registry.connected(alice, { path: 'relayed', address: `${address}/p2p-circuit` })
  for (let ping = 0; ping < 100; ping++) registry.measured(alice, 40 + ping / 10)
  registry.connected(alice, direct)
  registry.measured(alice, 2)
  registry.disconnected(alice)
  registry.measured(alice, 3)
  assert.deepEqual(updates, [
    ['details', 'disconnected', null, null, 'No network.'],
    ['details', 'connected', 'relayed', 40, 'No network.'],
    ['path', 'connected', 'direct', null, 'No network.'],
    ['details', 'connected', 'direct', 2, 'No network.'],
  ])
  const { roundTripMs, connectedSince, lastFailure } = registry.get(alice) ?? {}
  assert.deepEqual([roundTripMs, connectedSince], [null, null])
  const nothingMore = { hint: null, finding: null }
  assert.deepEqual(lastFailure, { at: now, code: 'no-network', message: 'No network.', ...nothingMore })
  registry.revoke(alice)
  assert.equal(registry.get(alice)?.lastFailure, null)
  stop()
  registry.sighted(bob, [address])
  registry.sighted(bob, [])
  assert.equal(updates.length, 4)
})

test('connected since the first of the connections that followed each other', () => {
  let wallMs = nowMs
  const { registry, trust } = openMemoryStore({ clock: { wall: () => wallMs, monotonic: () => 0 } })
  trust.put(activeRecord(alice, 'alice'))
  registry.connected(alice, { path: 'relayed', address })
  wallMs += 60_000
  registry.connected(alice, direct)
  assert.equal(registry.get(alice)?.connectedSince, now)
  registry.disconnected(alice)
  registry.connected(alice, direct)
  assert.equal(registry.get(alice)?.connectedSince, new Date(wallMs).toISOString())
})

test('a listener that was taken off hears nothing', () => {
  const { registry } = memoryStore()
  const heard: unknown[] = []
  const stop = registry.onChange((...change) => heard.push(change))
  stop()
  registry.sighted(alice, [])
  assert.deepEqual(heard, [])
})

test('a description says how and where a device is, or was', () => {
  const { registry, trust } = memoryStore()
  trust.put(activeRecord(alice, 'alice'))
  const base = deviceInfo({ id: deviceIdOf(alice) })
  assert.deepEqual(registry.get(alice), { ...base, state: 'paired' })
  registry.disconnected(alice)
  assert.deepEqual(registry.get(alice), { ...base, state: 'disconnected' })
  registry.connected(alice, { path: 'relayed', address })
  assert.deepEqual(registry.get(alice), {
    ...base,
    state: 'connected',
    path: 'relayed',
    address,
    lastSeen: now,
    connectedSince: now,
  })
  registry.measured(alice, 12)
  assert.equal(registry.get(alice)?.roundTripMs, 12)
  registry.disconnected(alice)
  // The other end of a connection that came in is a port that nobody listens on: it is not where to look for it.
  assert.deepEqual(registry.get(alice), { ...base, state: 'disconnected', lastSeen: now })
  registry.reachableAt(alice, address)
  assert.deepEqual(registry.get(alice), { ...base, state: 'disconnected', address, lastSeen: now })
  registry.sighted(bob, [address])
  const id = deviceIdOf(bob)
  assert.deepEqual(registry.get(bob), { ...base, id, name: id, peerId: bob, state: 'discovered', address })
  assert.equal(registry.get(carol), undefined)
  assert.deepEqual(
    registry.list().map(({ peerId }) => peerId),
    [alice, bob],
  )
})

test('a restart knows the devices and where they were', (context) => {
  const directory = temporaryDirectory(context)
  const store = openStore({ dataDir: directory })
  store.trust.put(activeRecord(alice, 'alice'))
  store.trust.put(pendingRecord(bob, 'bob'))
  store.registry.connected(alice, direct)
  store.registry.reachableAt(alice, address)
  store.close()
  const again = openStore({ dataDir: directory })
  assert.deepEqual(
    again.registry.list().map(({ name, state, address }) => [name, state, address]),
    [
      ['alice', 'paired', address],
      ['bob', 'pairing', null],
    ],
  )
  assert.deepEqual(again.registry.addressesOf(alice), [address])
  again.close()
})

test('a pairing again does not touch the device until it is finished', () => {
  const { registry, trust } = memoryStore()
  trust.put(activeRecord(alice, 'alice'))
  registry.connected(alice, direct)
  const before = registry.get(alice)
  const changes = changesOf(registry)
  registry.pairing(alice, true)
  trust.put(pendingRecord(alice, 'somebody else'))
  assert.deepEqual(registry.get(alice), before)
  registry.pairing(alice, false)
  trust.dropProvisional(alice)
  assert.deepEqual(registry.get(alice), before)
  assert.deepEqual(changes, [])
})

test("a connection with a peer that is not trusted is nobody else's business, and nothing of it is kept", () => {
  const { registry, contacts } = memoryStore()
  registry.connected(alice, direct)
  assert.equal(registry.get(alice), undefined)
  registry.disconnected(alice)
  assert.equal(contacts.get(alice), undefined)
  assert.deepEqual(registry.list(), [])
})

test('two pairings with one peer end when both have ended', () => {
  const { registry } = memoryStore()
  registry.pairing(alice, true)
  registry.pairing(alice, true)
  registry.pairing(alice, false)
  assert.equal(registry.get(alice)?.state, 'pairing')
  registry.pairing(alice, false)
  registry.pairing(alice, false)
  assert.equal(registry.get(alice), undefined)
  registry.pairing(alice, true)
  assert.equal(registry.get(alice)?.state, 'pairing')
})

test('only a trusted device can come to need pairing', () => {
  const { registry, trust } = memoryStore()
  assert.equal(registry.markNeedsPairing(alice), false)
  trust.put(activeRecord(alice, 'alice'))
  assert.equal(registry.markNeedsPairing(alice), true)
  assert.equal(registry.markNeedsPairing(alice), false)
  registry.revoke(alice)
  assert.equal(registry.markNeedsPairing(alice), false)
  assert.equal(registry.get(alice)?.state, 'revoked')
})

test('threat 31: a revocation takes the keys, the addresses and the waiting messages with it, across a restart', (context) => {
  const directory = temporaryDirectory(context)
  const store = openStore({ dataDir: directory })
  for (const [peerId, name] of [
    [alice, 'alice'],
    [bob, 'bob'],
  ] as const) {
    store.trust.put(activeRecord(peerId, name))
    store.trust.put(pendingRecord(peerId, name))
    store.registry.connected(peerId, direct)
    queue(store.outbox, { id: name, peerId, kind: 'text', body: 'hi', atMs: 0 })
  }
  assert.equal(store.registry.revoke(alice).state, 'revoked')
  assertFails(() => store.registry.revoke(carol), 'no-device')
  store.close()
  const { registry, outbox, contacts, trust } = openStore({ dataDir: directory })
  assert.equal(registry.get(alice)?.state, 'revoked')
  assert.deepEqual(registry.pairKeysOf(alice), {})
  assert.deepEqual(registry.addressesOf(alice), [])
  assert.equal(contacts.get(alice), undefined)
  assert.deepEqual(
    outbox.list().map(({ id }) => id),
    ['bob'],
  )
  assert.equal(trust.get(bob)?.state, 'active')
})

test('the keys of a device are told by what they are good for', () => {
  const { registry, trust } = memoryStore()
  assert.deepEqual(registry.pairKeysOf(alice), {})
  const active = activeRecord(alice, 'alice')
  const pending = pendingRecord(alice, 'alice')
  trust.put(active)
  trust.put(pending)
  const { pairKey: key, acknowledgement } = pending
  assert.deepEqual(registry.pairKeysOf(alice), {
    settled: { key: active.pairKey, state: 'active' },
    provisional: { key, state: 'pending', acknowledgement },
  })
  registry.markNeedsPairing(alice)
  assert.equal(registry.pairKeysOf(alice).settled?.state, 'needs-pairing')
})

test('a device is renamed to a free, visible name', () => {
  const { registry, trust } = memoryStore()
  trust.put(activeRecord(alice, 'alice'))
  trust.put(activeRecord(bob, 'bob'))
  assert.equal(registry.rename(alice, ' the\u202e laptop\n').name, 'the laptop')
  assert.equal(registry.rename(alice, 'ALICE').name, 'ALICE')
  assert.equal(registry.rename(alice, 'Alice').name, 'Alice')
  for (const taken of ['bob', 'BOB', ' Bob ', 'ｂｏｂ', 'b\u200bob']) {
    assertFails(() => registry.rename(alice, taken), 'invalid-argument', /another device/i)
  }
  for (const invisible of ['', ' ', '\u200b\n']) {
    assertFails(() => registry.rename(alice, invisible), 'invalid-argument', /seen/)
  }
  assertFails(() => registry.rename(carol, 'carol'), 'no-device')
  registry.revoke(bob)
  assertFails(() => registry.rename(bob, 'robert'), 'no-device')
  assert.equal(registry.rename(alice, 'bob').name, 'bob')
})

test('threat 26: names and references of the prototype are names and references', () => {
  const { registry, trust } = memoryStore()
  const names = ['__proto__', 'constructor', 'toString']
  const keysBefore = Reflect.ownKeys(Object.prototype)
  for (const reference of names) {
    assertFails(() => registry.find(reference), 'no-device')
    assert.equal(registry.get(asPeer(reference)), undefined)
    assert.equal(trust.get(asPeer(reference)), undefined)
    assert.deepEqual(registry.addressesOf(asPeer(reference)), [])
    assert.deepEqual(registry.pairKeysOf(asPeer(reference)), {})
    assertFails(() => registry.sighted(asPeer(reference), []), 'invalid-argument')
  }
  for (const [index, name] of names.entries()) {
    trust.put(pendingRecord(peerIdOf(index + 1), name))
    trust.activate(peerIdOf(index + 1))
    assert.equal(registry.find(name).peerId, peerIdOf(index + 1))
  }
  assert.deepEqual(Reflect.ownKeys(Object.prototype), keysBefore)
  assert.deepEqual(
    registry
      .list()
      .map(({ name }) => name)
      .sort(),
    [...names].sort(),
  )
})

test('threat 36: strangers in sight are bounded, and push out neither devices nor pairings', () => {
  const { registry, trust } = memoryStore()
  trust.put(activeRecord(alice, 'alice'))
  registry.sighted(alice, [address])
  registry.sighted(bob, [address])
  registry.pairing(bob, true)
  registry.sighted(carol, [address])
  for (let number = 4; number < 1_103; number += 1) {
    registry.sighted(
      peerIdOf(number),
      Array.from({ length: 100 }, (_, port) => `/ip4/192.0.2.1/tcp/${port}`),
    )
  }
  registry.sighted(alice, [address])
  assert.equal(registry.list().filter(({ state }) => state === 'discovered').length, 1_000)
  assert.equal(registry.get(carol), undefined)
  assert.equal(registry.get(bob)?.state, 'pairing')
  assert.deepEqual(registry.addressesOf(alice), [address])
  assert.equal(registry.addressesOf(peerIdOf(1_102)).length, 8)
})

test('addresses that worked come before those in sight', () => {
  const { registry, trust } = memoryStore()
  trust.put(activeRecord(alice, 'alice'))
  registry.sighted(alice, ['/ip4/192.0.2.2/tcp/1', address])
  registry.reachableAt(alice, address)
  assert.deepEqual(registry.addressesOf(alice), [address, '/ip4/192.0.2.2/tcp/1'])
  registry.lost(alice)
  assert.deepEqual(registry.addressesOf(alice), [address])
})

test('an unfinished pairing has an address to be finished at, which goes when it comes to nothing', () => {
  const { registry, trust } = memoryStore()
  registry.reachableAt(alice, address)
  assert.deepEqual(registry.addressesOf(alice), [], 'a stranger is not remembered')
  trust.put(pendingRecord(alice, 'alice'))
  registry.reachableAt(alice, address)
  assert.deepEqual(registry.addressesOf(alice), [address])
  trust.dropProvisional(alice)
  assert.deepEqual(registry.addressesOf(alice), [])
  trust.put(pendingRecord(alice, 'alice'))
  registry.reachableAt(alice, address)
  trust.activate(alice)
  trust.put(pendingRecord(alice, 'alice'))
  trust.dropProvisional(alice)
  assert.deepEqual(registry.addressesOf(alice), [address], 'what is settled stays')
})

test('who has ended the pairing, here or there, is not found by the old presence keys when it is paired again', () => {
  const { registry, trust, presence } = memoryStore()
  const own = { epoch: 1, key: bytes(1), seed: bytes(2) }
  const state = { own, others: { epoch: 1, key: bytes(3), publicKey: bytes(4) }, fromPairing: false }
  for (const peer of [alice, bob]) {
    trust.put(activeRecord(peer, peer === alice ? 'alice' : 'bob'))
    presence.set(peer, state)
  }
  registry.markRevokedThere(alice, bytes(5))
  registry.revoke(bob)
  assert.deepEqual(presence.peers(), [])
  // The new pairing has told its keys already: the notice is about the one before.
  trust.put(activeRecord(carol, 'carol'))
  trust.put(pendingRecord(carol, 'carol'))
  presence.set(carol, state)
  registry.markRevokedThere(carol, bytes(5))
  assert.deepEqual(presence.peers(), [carol])
})

function bytes(value: number): Uint8Array {
  return new Uint8Array(32).fill(value)
}
