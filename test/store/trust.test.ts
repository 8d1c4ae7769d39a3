import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isRevocationNotice } from '../../src/pairing/revocation-notice.ts'
import { provisionalLifetimeMs } from '../../src/pairing/limits.ts'
import { openMemoryStore, openStore } from '../../src/store/store.ts'
import type { Trust } from '../../src/store/trust.ts'
import type { TrustRecord } from '../../src/store/trust-record.ts'
import {
  activeRecord,
  alice,
  assertFails,
  bob,
  carol,
  pendingRecord,
  temporaryDirectory,
} from './fixtures.ts'
import { asPeer } from '../peers.ts'

const nowMs = 1_700_000_000_000
const memoryTrust = (): Trust => openMemoryStore({ clock: { wall: () => nowMs, monotonic: () => 0 } }).trust

test('a record comes back as it was written, also from the disk', (context) => {
  const directory = temporaryDirectory(context)
  const records = [
    activeRecord(alice, 'Älice 🚀 (2)'),
    { ...activeRecord(bob, 'bob'), acknowledgement: new Uint8Array(32).fill(1) },
    { ...activeRecord(carol, 'carol'), state: 'revoked', pairKey: new Uint8Array() } as const,
    pendingRecord(alice, 'alice'),
    { ...pendingRecord(bob, 'bob'), state: 'confirming' } as const,
  ]
  const store = openStore({ dataDir: directory })
  for (const record of records) store.trust.put(record)
  store.close()
  const opened = openStore({ dataDir: directory })
  const { trust } = opened
  assert.deepEqual(trust.get(alice), records[0])
  assert.deepEqual(trust.get(bob), records[1])
  assert.deepEqual(trust.get(carol), records[2])
  assert.deepEqual(trust.provisional(alice), records[3])
  assert.deepEqual(trust.provisional(bob), records[4])
  assert.equal(trust.list().length, 3)
  assert.equal(trust.provisionals().length, 2)
  opened.close()
})

test('a pairing again leaves the trust there is until it is finished', () => {
  const trust = memoryTrust()
  const old = activeRecord(alice, 'alice')
  trust.put(old)
  const fresh = pendingRecord(alice, 'alice')
  trust.put(fresh)
  assert.deepEqual(trust.get(alice), old)
  assert.deepEqual(trust.activate(alice), { ...fresh, state: 'active', changedAtMs: nowMs })
  assert.deepEqual(trust.get(alice)?.pairKey, fresh.pairKey)
  assert.equal(trust.provisional(alice), undefined)
})

test('a pairing again that is dropped leaves the trust there is', () => {
  const trust = memoryTrust()
  trust.put(activeRecord(alice, 'alice'))
  trust.put(pendingRecord(alice, 'other'))
  assert.equal(trust.dropProvisional(alice), true)
  assert.equal(trust.dropProvisional(alice), false)
  assert.deepEqual(trust.get(alice), activeRecord(alice, 'alice'))
})

test('activating twice gives the same record, and a stranger cannot be activated', () => {
  const trust = memoryTrust()
  trust.put(pendingRecord(alice, 'alice'))
  const active = trust.activate(alice)
  assert.deepEqual(trust.activate(alice), active)
  assertFails(() => trust.activate(bob), 'not-paired')
  trust.put({ ...activeRecord(carol, 'carol'), state: 'needs-pairing' })
  assertFails(() => trust.activate(carol), 'not-paired')
})

test('the names of devices stay unique and stay what their user knows', () => {
  const trust = memoryTrust()
  for (const peerId of [alice, bob, carol]) {
    trust.put(pendingRecord(peerId, peerId === bob ? 'LAPTOP' : 'laptop'))
    trust.activate(peerId)
  }
  assert.deepEqual(
    [alice, bob, carol].map((peerId) => trust.get(peerId)?.name),
    ['laptop', 'LAPTOP (2)', 'laptop (3)'],
  )
  trust.put(pendingRecord(bob, 'laptop'))
  assert.equal(trust.activate(bob).name, 'LAPTOP (2)')
  // The name of a revoked device is free again, for others and for its own return.
  trust.revoke(alice)
  trust.revoke(carol)
  trust.put(pendingRecord(carol, 'laptop'))
  assert.equal(trust.activate(carol).name, 'laptop')
  trust.put(pendingRecord(alice, 'laptop'))
  assert.equal(trust.activate(alice).name, 'laptop (3)')
})

test('a tombstone has no keys and ends the unfinished pairing', () => {
  const trust = memoryTrust()
  trust.put({ ...activeRecord(alice, 'alice'), acknowledgement: new Uint8Array(32) })
  trust.put(pendingRecord(alice, 'alice'))
  trust.revoke(alice)
  const gone = {
    state: 'revoked',
    pairKey: new Uint8Array(),
    acknowledgement: null,
    changedAtMs: nowMs,
  } as const
  const { revocationNotice, ...tombstone } = trust.get(alice) ?? {}
  assert.deepEqual(tombstone, { ...activeRecord(alice, 'alice'), ...gone })
  assert.equal(revocationNotice?.length, 64, 'one for each of the two keys')
  assert.equal(trust.provisional(alice), undefined)
  assertFails(() => trust.revoke(bob), 'no-device')
  trust.put(pendingRecord(bob, 'bob'))
  trust.put({ ...activeRecord(bob, 'bob'), ...gone })
  assert.equal(trust.provisional(bob), undefined)
})

test('threat 31: only a fresh pairing outranks a tombstone', () => {
  const trust = memoryTrust()
  trust.put(activeRecord(alice, 'alice'))
  trust.put(pendingRecord(alice, 'alice'))
  trust.revoke(alice)
  assertFails(() => trust.put(activeRecord(alice, 'alice')), 'not-paired')
  assertFails(() => trust.put({ ...activeRecord(alice, 'alice'), state: 'needs-pairing' }), 'not-paired')
  assertFails(() => trust.activate(alice), 'not-paired')
  assert.equal(trust.get(alice)?.state, 'revoked')
  trust.put(pendingRecord(alice, 'alice'))
  assert.equal(trust.get(alice)?.state, 'revoked')
  assert.equal(trust.activate(alice).state, 'active')
})

test('an unfinished pairing ends after seven days, to the millisecond', () => {
  const trust = memoryTrust()
  trust.put({ ...pendingRecord(alice, 'alice'), changedAtMs: 1_000 })
  trust.put({ ...pendingRecord(bob, 'bob'), state: 'confirming', changedAtMs: 1_001 })
  trust.put({ ...activeRecord(carol, 'carol'), changedAtMs: 0 })
  assert.deepEqual(trust.expireProvisional(1_000 + provisionalLifetimeMs - 1), [])
  assert.deepEqual(trust.expireProvisional(1_000 + provisionalLifetimeMs), [alice])
  assert.equal(trust.provisional(alice), undefined)
  assert.deepEqual(trust.expireProvisional(1_001 + provisionalLifetimeMs), [bob])
  assert.equal(trust.get(carol)?.state, 'active')
})

test('remove forgets both records', () => {
  const trust = memoryTrust()
  trust.put(activeRecord(alice, 'alice'))
  trust.put(pendingRecord(alice, 'alice'))
  assert.equal(trust.remove(alice), true)
  assert.equal(trust.remove(alice), false)
  assert.deepEqual([trust.get(alice), trust.provisional(alice)], [undefined, undefined])
})

test('a revocation that cannot be written changes nothing on the disk, and ends the trust all the same', (context) => {
  const directory = temporaryDirectory(context)
  const store = openStore({ dataDir: directory })
  store.trust.put(activeRecord(alice, 'alice'))
  const heard: string[] = []
  store.trust.onChange((peerId) => heard.push(peerId))
  assertFails(
    () =>
      store.trust.revoke(alice, () => {
        throw new Error('from alongside')
      }),
    'internal',
  )
  assert.equal(store.trust.get(alice)?.state, 'revoked')
  assert.deepEqual([heard, store.trust.unwritten()], [[alice], ['alice']])
  assert.ok(!readdirSync(directory).some((name) => name.endsWith('.tmp')))
  store.close()
  const again = openStore({ dataDir: directory })
  assert.deepEqual(again.trust.get(alice), activeRecord(alice, 'alice'))
  again.close()
})

test('a clock with fractions is rounded down', () => {
  const { trust } = openMemoryStore({ clock: { wall: () => 7.9, monotonic: () => 0 } })
  trust.put({ ...pendingRecord(alice, 'alice'), pairedAtMs: 1.5, changedAtMs: 2.5 })
  assert.equal(trust.provisional(alice)?.changedAtMs, 2)
  assert.equal(trust.activate(alice).changedAtMs, 7)
})

test('incomplete records are refused', () => {
  const trust = memoryTrust()
  const active = activeRecord(alice, 'alice')
  const wrong: TrustRecord[] = [
    { ...active, pairKey: new Uint8Array() },
    { ...active, pairKey: new Uint8Array(31) },
    { ...active, acknowledgement: new Uint8Array(31) },
    { ...active, state: 'pending' },
    { ...active, state: 'revoked' },
    { ...active, name: '' },
    { ...active, name: 'a\0b' },
    { ...active, name: 'a\ud800' },
    { ...active, peerId: asPeer('__proto__') },
    { ...active, peerId: asPeer('') },
    { ...active, pairedAtMs: 8.65e15 },
    { ...active, changedAtMs: Number.NaN },
    { ...active, state: 'constructor' as 'active' },
  ]
  for (const record of wrong) assertFails(() => trust.put(record), 'invalid-argument')
  assert.deepEqual(trust.list(), [])
})

test('callers hold copies: wiping a key they were given changes nothing here', () => {
  const trust = memoryTrust()
  const record = activeRecord(alice, 'alice')
  trust.put(record)
  record.pairKey.fill(0)
  trust.get(alice)?.pairKey.fill(0)
  trust.list()[0]?.pairKey.fill(0)
  assert.deepEqual(trust.get(alice), activeRecord(alice, 'alice'))
})

test('a revoked device leaves its key in no file, even while the store is open', (context) => {
  const directory = temporaryDirectory(context)
  const store = openStore({ dataDir: directory })
  const pairKey = Buffer.from('the key that must not be there  ')
  store.trust.put({ ...activeRecord(alice, 'alice'), pairKey: new Uint8Array(pairKey) })
  const snapshot = (): boolean => {
    // By another process: closing a file here would end the locks that SQLite has on it.
    const copy = temporaryDirectory(context)
    execFileSync('cp', ['-r', `${directory}/.`, copy])
    return readdirSync(copy).some((name) => readFileSync(join(copy, name)).includes(pairKey))
  }
  assert.equal(snapshot(), true)
  store.trust.revoke(alice)
  assert.equal(snapshot(), false)
  store.close()
})

test('a tombstone holds a notice for each key that the device may hold, and stays able to when it is made again', () => {
  const store = openMemoryStore()
  const { trust, identity } = store
  const own = identity.peerId
  const keys = [1, 2, 3].map((number) => new Uint8Array(32).fill(number))
  const saysRevoked = (): boolean[] => {
    const { revocationNotice } = trust.get(alice) ?? {}
    assert.ok(revocationNotice !== undefined)
    return keys.map((key) => isRevocationNotice(revocationNotice, key, own, alice))
  }
  const [first, second, third] = keys
  assert.ok(first && second && third)
  trust.put({ ...activeRecord(alice, 'alice'), pairKey: first })
  trust.revoke(alice)
  assert.deepEqual(saysRevoked(), [true, false, false])
  trust.put({ ...pendingRecord(alice, 'alice'), pairKey: second })
  assert.deepEqual(saysRevoked(), [true, false, false], 'while the pairing again is not finished')
  trust.revoke(alice)
  assert.deepEqual(saysRevoked(), [true, true, false])
  trust.put({ ...pendingRecord(alice, 'alice'), pairKey: third })
  trust.revoke(alice)
  assert.deepEqual(saysRevoked(), [false, true, true], 'the newest two')
  trust.revoke(alice)
  assert.deepEqual(saysRevoked(), [false, true, true])
  trust.put({ ...pendingRecord(alice, 'alice'), pairKey: first })
  assert.equal(trust.activate(alice).revocationNotice, undefined)
})
