import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { PresenceChains } from '../../src/node/presence-chains.ts'
import { presenceEpoch, presenceEpochMs } from '../../src/pairing/presence-keys.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import type { RecordKeys } from '../../src/pairing/address-record.ts'
import { memoryDisk } from '../../src/store/memory-disk.ts'
import { openMemoryStore } from '../../src/store/store.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { fakePeerId } from '../threats/fake-peer-id.ts'

const [alice, bob] = [fakePeerId() as PeerId, fakePeerId() as PeerId]

test('two devices that have told each other read what the other one writes', () => {
  const { a, b } = pair()
  const epoch = presenceEpoch(a.clock.wall())
  for (const each of [epoch - 1, epoch, epoch + 1]) {
    assert.deepEqual(placeOf(a.chains.writerKeys(bob, each)), placeOf(b.chains.readerKeys(alice, each)))
    assert.deepEqual(placeOf(b.chains.writerKeys(alice, each)), placeOf(a.chains.readerKeys(bob, each)))
  }
  assert.equal(a.chains.readerKeys(bob, epoch - 2), null)
})

test('until then a device has no keys, but for one that cannot tell any: those of the pairing', () => {
  const a = device()
  assert.equal(a.chains.originOf(bob), 'none')
  a.chains.told(bob)
  assert.equal(a.chains.originOf(bob), 'none')
  assert.equal(a.chains.cannotTell(bob), true)
  assert.equal(a.chains.originOf(bob), 'pairing')
  a.chains.take(bob, device().chains.told(alice))
  assert.equal(a.chains.originOf(bob), 'told')
  assert.equal(a.chains.cannotTell(bob), false, 'what was told stays')
})

test('threat 47: what an epoch leaves behind is forgotten, also by a device that was off for a year', async () => {
  const { a, b } = pair()
  const epoch = presenceEpoch(a.clock.wall())
  const before = placeOf(b.chains.readerKeys(alice, epoch))
  b.chains.stop()
  b.clock.sleep(1_461 * presenceEpochMs)
  b.restart()
  const now = presenceEpoch(b.clock.wall())
  assert.equal(b.chains.readerKeys(alice, epoch), null)
  assert.equal(b.store.presence.get(alice)?.others?.epoch, now - 1)
  assert.ok(!JSON.stringify(b.store.presence.get(alice)).includes(String(before)))
  // The other one was on all the time.
  await a.clock.pass(1_461 * presenceEpochMs)
  assert.deepEqual(placeOf(a.chains.writerKeys(bob, now)), placeOf(b.chains.readerKeys(alice, now)))
})

test('a clock that was years ahead costs the keys, until the two devices have told each other again', () => {
  const { a, b } = pair()
  device(a.store, 4_000 * presenceEpochMs)
  const right = device(a.store)
  const epoch = presenceEpoch(right.clock.wall())
  assert.equal(right.chains.writerKeys(bob, epoch), null)
  assert.equal(b.chains.take(alice, right.chains.told(bob)), true)
  assert.deepEqual(placeOf(right.chains.writerKeys(bob, epoch)), placeOf(b.chains.readerKeys(alice, epoch)))
  assert.equal(right.chains.readerKeys(bob, epoch), null)
  assert.equal(right.chains.take(bob, b.chains.told(alice)), true)
  assert.deepEqual(placeOf(right.chains.readerKeys(bob, epoch)), placeOf(b.chains.writerKeys(alice, epoch)))
})

test('telling the same again changes nothing, and a backup that was put back is heard again', () => {
  const { a, b } = pair()
  assert.equal(b.chains.take(alice, a.chains.told(bob)), false)
  const restored = device()
  assert.equal(b.chains.take(alice, restored.chains.told(bob)), true)
})

test('new keys are taken five times in a row and then once a minute; the same again costs nothing', async () => {
  const a = device()
  let chain = device().chains.told(alice)
  for (let time = 0; time < 5; time++) {
    chain = device().chains.told(alice)
    assert.equal(a.chains.take(bob, chain), true)
  }
  const late = device().chains.told(alice)
  const longAgo = { ...late, epoch: late.epoch - 16_384 }
  for (const each of [late, longAgo]) {
    const before = a.store.presence.get(bob)
    assert.throws(() => a.chains.take(bob, each), { code: 'remote-failure' })
    assert.equal(a.store.presence.get(bob), before)
  }
  for (let time = 0; time < 20; time++) assert.equal(a.chains.take(bob, chain), false)
  assert.equal(a.chains.take(alice, late), true, 'another device has a pace of its own')
  await a.clock.pass(60_000)
  assert.equal(a.chains.take(bob, late), true)
  assert.throws(() => a.chains.take(bob, chain))
  a.chains.forget(bob)
  assert.equal(a.chains.take(bob, chain), true)
})

test('a key that is no point of the group is not taken', () => {
  const a = device()
  const told = device().chains.told(alice)
  assert.equal(a.chains.take(bob, { ...told, publicKey: new Uint8Array(32) }), false)
  assert.equal(a.chains.originOf(bob), 'none')
})

test('on a full disk the chains start, and move on when there is space again', async () => {
  const disk = memoryDisk(new Uint8Array(32))
  const clock = virtualClock()
  const a = device(disk.open({ clock }), 0, [alice, bob])
  a.chains.take(bob, device().chains.told(alice))
  a.chains.stop()
  a.store.presence.remove(alice)
  disk.fill(true)
  a.clock.sleep(presenceEpochMs)
  a.restart()
  assert.equal(a.chains.originOf(alice), 'none')
  assert.equal(a.chains.cannotTell(alice), false)
  await a.clock.pass(2 * presenceEpochMs)
  const kept = (): number | undefined => a.store.presence.get(bob)?.others?.epoch
  assert.ok((kept() ?? 0) < presenceEpoch(a.clock.wall()) - 1)
  disk.fill(false)
  await a.clock.pass(presenceEpochMs)
  assert.equal(kept(), presenceEpoch(a.clock.wall()) - 1)
  disk.close()
})

test('a disk that takes what is new, and does not overwrite what was, stops no watch', async () => {
  const a = device()
  a.chains.told(bob)
  a.store.presence.forgetReplaced = () => {
    throw new Error('full')
  }
  await a.clock.pass(2 * presenceEpochMs)
  assert.equal(a.store.presence.get(bob)?.own.epoch, presenceEpoch(a.clock.wall()) - 1)
})

test('a clock that jumps is told of, and the end of an epoch is not', async () => {
  const a = device()
  let jumps = 0
  a.chains.whenClockSet(() => (jumps += 1))
  await a.clock.pass(3 * presenceEpochMs)
  assert.equal(jumps, 0)
  for (const epochs of [40_000, -3]) {
    a.clock.sleep(epochs * presenceEpochMs)
    a.chains.told(bob)
  }
  assert.equal(jumps, 2)
})

function pair() {
  const [a, b] = [device(), device()]
  b.chains.take(alice, a.chains.told(bob))
  a.chains.take(bob, b.chains.told(alice))
  return { a, b }
}

function device(store = openMemoryStore(), aheadMs = 0, paired: PeerId[] = []) {
  const clock = virtualClock()
  clock.sleep(aheadMs)
  const make = (): PresenceChains =>
    new PresenceChains({
      states: store.presence,
      trusted: { pairKeys: () => paired.map((peer) => ({ peer })) },
      random: (length) => new Uint8Array(randomBytes(length)),
      clock,
      log: () => {},
    })
  const made = {
    store,
    clock,
    chains: make(),
    restart() {
      made.chains.stop()
      made.chains = make()
      made.chains.start()
    },
  }
  made.chains.start()
  return made
}

function placeOf(keys: RecordKeys | null): [Uint8Array, Uint8Array] {
  assert.ok(keys !== null && 'publicKey' in keys)
  return [keys.publicKey, keys.recordKey]
}
