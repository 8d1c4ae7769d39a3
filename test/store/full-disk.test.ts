import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as v from 'valibot'
import { openDatabase } from '../../src/store/database.ts'
import { memoryDisk } from '../../src/store/memory-disk.ts'
import { memoryIdentity } from '../../src/store/identity.ts'
import { systemClock } from '../../src/clock.ts'
import { openInbox } from '../../src/store/inbox.ts'
import { openPersistentClock } from '../../src/store/persistent-clock.ts'
import { openOutbox } from '../../src/store/outbox.ts'
import { openStore } from '../../src/store/store.ts'
import { openTrust } from '../../src/store/trust.ts'
import { accept, activeRecord, alice, assertFails, bob, peerIdOf, pendingRecord, queue } from './fixtures.ts'
import { fill, smallDisk, whyNoMount } from './small-disk.ts'

test('a database that may not grow refuses the write and keeps what it has', () => {
  const database = openDatabase(':memory:', { mayCreate: true })
  const clock = openPersistentClock(database, systemClock)
  const outbox = openOutbox(database, clock)
  const inbox = openInbox(database, clock)
  const trust = openTrust({
    database,
    identity: memoryIdentity(new Uint8Array(32)),
    clock: { wall: () => 0 },
  })
  trust.put(activeRecord(alice, 'alice'))
  // A limit below what is used means no page more than that.
  const limitPages = (pages: number): unknown =>
    database.query(`PRAGMA max_page_count = ${pages}`, v.unknown()).get()
  limitPages(1)
  const big = { peerId: alice, kind: 'text', body: 'x'.repeat(100_000), atMs: 0 } as const
  assertFails(() => queue(outbox, { ...big, id: 'out' }), 'disk-full')
  assertFails(() => accept(inbox, { ...big, id: 'in' }), 'disk-full')
  const name = 'n'.repeat(48)
  assertFails(() => {
    for (let number = 10; number < 100; number += 1) trust.put(activeRecord(peerIdOf(number), name))
  }, 'disk-full')
  const before = trust.list()
  assert.ok(before.length < 91)
  limitPages(1_000_000)
  assert.deepEqual(outbox.list(), [])
  assert.equal(accept(inbox, { ...big, id: 'in' }).outcome, 'new')
  trust.put(activeRecord(bob, 'bob'))
  assert.equal(trust.list().length, before.length + 1)
})

test(
  'on a full disk every write fails as disk-full, nothing is half done, and it heals',
  { skip: whyNoMount },
  (context) => {
    const directory = smallDisk(context)
    const store = openStore({ dataDir: directory })
    store.trust.put(activeRecord(alice, 'alice'))
    for (const free of [0, 4_096, 8_192, 16_384]) {
      fill(directory, free)
      const inboxBefore = store.inbox.list().length
      let failures = 0
      for (let number = 0; failures === 0; number += 1) {
        const sizes = { peerId: alice, kind: 'text', body: 'x'.repeat(3_000), atMs: 0 } as const
        try {
          accept(store.inbox, { ...sizes, id: `${free}-${number}` })
          assert.equal(store.inbox.list().length, inboxBefore + number + 1)
        } catch (error) {
          assertFails(() => {
            throw error
          }, 'disk-full')
          assert.equal(store.inbox.list().length, inboxBefore + number)
          failures += 1
        }
      }
      // Whatever little is left: a change of trust is done or not done, and memory and disk agree.
      const settled = store.trust.get(bob)
      try {
        store.trust.put(activeRecord(bob, `bob ${free}`))
      } catch (error) {
        assertFails(() => {
          throw error
        }, 'disk-full')
        assert.deepEqual(store.trust.get(bob), settled)
      }
      rmSync(join(directory, 'filler'))
      const expected = store.trust.list()
      assert.deepEqual(
        readdirSync(directory).filter((name) => name.endsWith('.tmp')),
        [],
      )
      accept(store.inbox, { id: `after-${free}`, peerId: alice, kind: 'text', body: '', atMs: 0 })
      assert.deepEqual(store.trust.list(), expected)
    }
    const expected = store.trust.list()
    store.close()
    const again = openStore({ dataDir: directory })
    assert.deepEqual(again.trust.list(), expected)
    again.close()
  },
)

test(
  'a new store on a full disk is refused as disk-full, and made when there is space',
  { skip: whyNoMount },
  (context) => {
    const directory = smallDisk(context)
    fill(directory, 0)
    assertFails(() => openStore({ dataDir: join(directory, 'data') }), 'disk-full', /Free some disk space/)
    for (const free of [4_096, 8_192, 12_288, 16_384, 24_576, 32_768, 65_536]) {
      fill(directory, free)
      try {
        openStore({ dataDir: join(directory, 'data') }).close()
      } catch (error) {
        assertFails(() => {
          throw error
        }, 'disk-full')
      }
    }
    rmSync(join(directory, 'filler'))
    openStore({ dataDir: join(directory, 'data') }).close()
  },
)

test(
  'a device is revoked on a full disk, and stays so after a restart, whatever waited for it',
  { skip: whyNoMount },
  (context) => {
    const directory = smallDisk(context)
    const store = openStore({ dataDir: directory })
    for (const peer of [alice, bob]) store.trust.put(activeRecord(peer, peer === alice ? 'alice' : 'bob'))
    for (let number = 0; number < 8; number++) {
      const big = { peerId: alice, kind: 'text', body: 'x'.repeat(3_000), atMs: 0 } as const
      queue(store.outbox, { ...big, id: `out-${number}` })
    }
    fill(directory, 0)
    assertFails(() => store.trust.put(activeRecord(bob, 'another name')), 'disk-full')
    store.registry.revoke(alice)
    assert.deepEqual(store.trust.unwritten(), [])
    store.close()
    rmSync(join(directory, 'filler'))
    const again = openStore({ dataDir: directory })
    assert.equal(again.trust.get(alice)?.state, 'revoked')
    assert.equal(again.trust.get(bob)?.state, 'active')
    assert.deepEqual(again.outbox.list(), [])
    again.close()
  },
)

test(
  'on a disk that takes nothing, a device that is revoked is so until the end of the process, and on the disk when it takes it',
  { skip: whyNoMount },
  (context) => {
    const directory = smallDisk(context)
    const store = openStore({ dataDir: directory })
    store.trust.put(activeRecord(alice, 'alice'))
    store.trust.put(activeRecord(bob, 'bob'))
    store.trust.put(pendingRecord(alice, 'alice'))
    rmSync(join(directory, 'reserve'))
    fill(directory, 0)
    const heard: string[] = []
    store.trust.onChange((peerId) => heard.push(peerId))
    const error = assertFails(() => store.registry.revoke(alice), 'disk-full', /"alice" is cut off/)
    assert.match(error.hint ?? '', /leave Spacedock running/)
    assert.equal(store.trust.get(alice)?.state, 'revoked')
    assert.equal(store.trust.provisional(alice), undefined)
    assert.deepEqual(store.registry.pairKeysOf(alice), {})
    assert.deepEqual([heard, store.trust.unwritten()], [[alice], ['alice']])
    assertFails(() => store.trust.writeUnwritten(), 'disk-full')
    rmSync(join(directory, 'filler'))
    // Any other change takes it along.
    store.trust.put(activeRecord(bob, 'bobby'))
    assert.deepEqual(store.trust.unwritten(), [])
    store.close()
    const again = openStore({ dataDir: directory })
    assert.equal(again.trust.get(alice)?.state, 'revoked')
    assert.equal(again.trust.provisional(alice), undefined)
    assert.equal(again.trust.get(bob)?.name, 'bobby')
    again.close()
  },
)

test('a device whose revocation is not written yet can be paired again', () => {
  const disk = memoryDisk(new Uint8Array(32))
  const clock = { wall: () => 1_000, monotonic: () => 0 }
  const store = disk.open({ clock })
  for (const peer of [alice, bob]) store.trust.put(activeRecord(peer, peer === alice ? 'alice' : 'bob'))
  disk.fill(true)
  for (const peer of [alice, bob]) assertFails(() => store.registry.revoke(peer), 'disk-full')
  disk.fill(false)
  store.trust.put(pendingRecord(alice, 'alice'))
  store.trust.activate(alice)
  const again = disk.open({ clock })
  assert.deepEqual([again.trust.get(alice)?.state, again.trust.get(bob)?.state], ['active', 'revoked'])
  assert.equal(again.trust.remove(bob), true)
  disk.close()
})
