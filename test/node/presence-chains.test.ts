import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { PresenceChains } from '../../src/node/presence-chains.ts'
import { presenceEpoch, presenceEpochMs } from '../../src/pairing/presence-keys.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import type { RecordKeys } from '../../src/pairing/address-record.ts'
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

function pair() {
  const [a, b] = [device(), device()]
  b.chains.take(alice, a.chains.told(bob))
  a.chains.take(bob, b.chains.told(alice))
  return { a, b }
}

function device(store = openMemoryStore(), aheadMs = 0) {
  const clock = virtualClock()
  clock.sleep(aheadMs)
  const make = (): PresenceChains =>
    new PresenceChains({
      states: store.presence,
      trusted: { pairKeys: () => [] },
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
