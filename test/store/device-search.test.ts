import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { DeviceInfo, DeviceState } from '../../src/api.ts'
import { SpacedockError } from '../../src/errors.ts'
import { maxNameLength, sanitizeDeviceName } from '../../src/pairing/device-name.ts'
import { deviceIdOf } from '../../src/store/device-id.ts'
import { nameKey } from '../../src/store/name-choice.ts'
import { findDevice } from '../../src/store/device-search.ts'
import { openMemoryStore } from '../../src/store/store.ts'
import { alice, assertFails, deviceInfo, peerIdOf, pendingRecord } from './fixtures.ts'
import { asPeer } from '../peers.ts'

const device = (id: string, name: string, state: DeviceState = 'connected'): DeviceInfo =>
  deviceInfo({ id: id.padEnd(16, 'a'), name, peerId: id, state })

test('a device id follows from the peer id, and nothing else has one', () => {
  // Computed apart: base32(sha256('spacedock/device-id/1' + 0x00 0x24 0x08 0x01 0x12 0x20 + public key)[:10]).
  assert.equal(deviceIdOf(asPeer('12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN')), 'tti5fbmmeuq5x7cj')
  for (const text of ['', '__proto__', 'Qm', alice.slice(1)])
    assertFails(() => deviceIdOf(asPeer(text)), 'invalid-argument')
})

const laptop = device('abc', 'laptop')
const phone = device('abd', 'Phone')
const phone2 = device('x7q', 'phone (2)')
const all = [laptop, phone, phone2]

for (const [reference, expected] of [
  [laptop.id, laptop],
  [laptop.id.toUpperCase(), laptop],
  ['laptop', laptop],
  [' LapTop ', laptop],
  ['l', laptop],
  ['phone', phone],
  ['phone (', phone2],
  ['abc', laptop],
  ['x', phone2],
] as const) {
  test(`${JSON.stringify(reference)} finds ${expected.name}`, () =>
    assert.equal(findDevice(reference, all), expected))
}

test('an exact id outranks a name that copies it, and a name outranks the beginning of an id', () => {
  const thief = device('zzz', laptop.id)
  assert.equal(findDevice(laptop.id, [thief, laptop]), laptop)
  const short = device('yyy', 'abc')
  assert.equal(findDevice('abc', [laptop, short]), short)
})

test('a reference that fits several names all of them', () => {
  const error = assertFails(() => findDevice('ab', all), 'ambiguous-device', /laptop \(abca.*Phone \(abda/)
  assert.ok(!(error.hint ?? '').includes('phone (2)'))
})

test('a reference that fits none names the nearest first', () => {
  const error = assertFails(() => findDevice('latpop', [phone, phone2, laptop]), 'no-device', /"latpop"/)
  assert.match(error.hint ?? '', /: laptop, /)
  assertFails(() => findDevice('x', []), 'no-device', /none is paired yet/)
  assertFails(() => findDevice('', all), 'no-device')
  assertFails(() => findDevice('  ', [laptop]), 'no-device')
  const long = assertFails(() => findDevice('é\n\u001b'.repeat(10_000), all), 'no-device')
  assert.ok(long.message.length < 500)
})

test('revoked devices are found when nothing else fits', () => {
  const old = device('old', 'laptop', 'revoked')
  const oldTablet = device('tab', 'tablet', 'revoked')
  assert.equal(findDevice('laptop', [old, laptop]), laptop)
  assert.equal(findDevice('lap', [old, laptop]), laptop)
  assert.equal(findDevice('tab', [old, oldTablet, laptop]), oldTablet)
  assert.equal(findDevice(old.id, [old, laptop]), old)
  assertFails(() => findDevice('p', [device('p', 'pa', 'revoked'), phone, phone2]), 'ambiguous-device')
})

const anyName = fc.oneof(
  fc.constantFrom(
    'laptop',
    'LAPTOP',
    'laptop (2)',
    'laptop (3)',
    '__proto__',
    'constructor',
    '',
    'ａ',
    'İ',
    'ß',
    'ẞ',
  ),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 80 }),
)

test('property: whatever devices call themselves, every one has a name of its own and is found by it', () => {
  const peerIds = Array.from({ length: 8 }, (_, index) => peerIdOf(index + 1))
  const action = fc.record({
    peer: fc.nat(7),
    name: anyName,
    kind: fc.constantFrom('pair', 'pair', 'rename', 'revoke'),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 16 }), (actions) => {
      const store = openMemoryStore()
      const { registry, trust } = store
      for (const { peer, name, kind } of actions) {
        const peerId = peerIds[peer] ?? alice
        try {
          if (kind === 'pair') {
            // What the other side sends may be anything; pairing hands over what sanitising left of it.
            trust.put(pendingRecord(peerId, sanitizeDeviceName(name)))
            trust.activate(peerId)
          } else if (kind === 'rename') registry.rename(peerId, name)
          else registry.revoke(peerId)
        } catch (error) {
          assert.ok(
            error instanceof SpacedockError && ['invalid-argument', 'no-device'].includes(error.code),
            String(error),
          )
        }
      }
      const trusted = registry.list().filter(({ state }) => state !== 'revoked')
      assert.equal(new Set(trusted.map(({ name }) => nameKey(name))).size, trusted.length)
      for (const one of trusted) {
        assert.ok(one.name.length > 0 && one.name.length <= maxNameLength)
        assert.equal(registry.find(one.id).peerId, one.peerId)
        assert.equal(registry.find(one.id.toUpperCase()).peerId, one.peerId)
        assert.equal(registry.find(one.name).peerId, one.peerId)
        assert.equal(registry.find(` ${one.name} `).peerId, one.peerId)
      }
      store.close()
    }),
    { numRuns: 150 },
  )
})

test('property: find gives a device that fits, or says that none or several do', () => {
  const anyDevice = fc
    .tuple(
      fc.stringMatching(/^[a-c2]{16}$/),
      fc.stringMatching(/^[abAB2 ]{1,4}$/),
      fc.constantFrom('connected', 'revoked'),
    )
    .map(([id, name, state]) => device(id, name, state as DeviceState))
  fc.assert(
    fc.property(
      fc.array(anyDevice, { maxLength: 6 }),
      fc.stringMatching(/^[abAB2]{1,4}$/),
      (devices, reference) => {
        const key = reference.toLowerCase()
        const fits = ({ id, name }: DeviceInfo): boolean =>
          id.startsWith(key) || name.toLowerCase().startsWith(key)
        const current = devices.filter((one) => one.state !== 'revoked' && fits(one))
        const candidates = current.length > 0 ? current : devices.filter(fits)
        try {
          assert.ok(candidates.includes(findDevice(reference, devices)))
        } catch (error) {
          assert.ok(error instanceof SpacedockError, String(error))
          if (error.code === 'no-device') assert.equal(candidates.length, 0)
          else assert.ok(error.code === 'ambiguous-device' && candidates.length > 1)
        }
      },
    ),
    { numRuns: 1_000 },
  )
})
