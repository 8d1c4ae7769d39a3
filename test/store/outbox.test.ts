import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../src/store/database.ts'
import { openOutbox } from '../../src/store/outbox.ts'
import { openMemoryStore, openStore } from '../../src/store/store.ts'
import type { MessageRecord } from '../../src/store/stored-message.ts'
import { alice, assertFails, bob, temporaryDirectory } from './fixtures.ts'

const message = (id: string, peerId: string, body = id): MessageRecord => ({
  id,
  peerId,
  kind: 'text',
  body,
  atMs: 5,
})

test('messages wait in order, each device for itself, across a restart', (context) => {
  const directory = temporaryDirectory(context)
  const opened = openStore({ dataDir: directory })
  const { outbox } = opened
  for (const id of ['a1', 'a2', 'a3']) outbox.add(message(id, alice))
  outbox.add(message('b1', bob))
  opened.close()
  const again = openStore({ dataDir: directory })
  assert.equal(again.outbox.next(alice)?.id, 'a1')
  assert.equal(again.outbox.next(alice, { after: again.outbox.next(alice)?.sequence ?? 0 })?.id, 'a2')
  assert.equal(again.outbox.remove('a1'), true)
  assert.equal(again.outbox.remove('a1'), false)
  assert.equal(again.outbox.next(alice)?.id, 'a2')
  assert.deepEqual(
    again.outbox.list().map(({ id }) => id),
    ['a2', 'a3', 'b1'],
  )
  assert.deepEqual(
    again.outbox.list({ peerId: bob }).map(({ id }) => id),
    ['b1'],
  )
  assert.equal(again.outbox.dropFor(alice), 2)
  assert.equal(again.outbox.next(alice), undefined)
  assert.equal(again.outbox.count(bob), 1)
  again.close()
})

test('a message comes back as it was given', () => {
  const { outbox } = openMemoryStore()
  for (const [index, body] of [
    '',
    'nul \0 inside',
    '\u{1f680} ünï',
    '\ufeffmark',
    '"json"',
    'x'.repeat(262_144),
  ].entries()) {
    const given: MessageRecord = { id: `id-${index}`, peerId: alice, kind: 'json', body, atMs: -1 }
    assert.deepEqual(outbox.add(given), { ...given, sequence: index + 1 })
    outbox.remove(given.id)
  }
})

test('a sequence is never used twice', () => {
  const { outbox } = openMemoryStore()
  const first = outbox.add(message('a', alice))
  outbox.remove('a')
  assert.ok(outbox.add(message('b', alice)).sequence > first.sequence)
})

test('more than 256 KiB is refused, counted as UTF-8', () => {
  const { outbox } = openMemoryStore()
  assertFails(() => outbox.add(message('a', alice, 'x'.repeat(262_145))), 'too-large', /262145/)
  assertFails(() => outbox.add(message('a', alice, 'ü'.repeat(131_073))), 'too-large')
  assert.deepEqual(outbox.list(), [])
})

test('what would not come back as it was is refused', () => {
  const { outbox } = openMemoryStore()
  const good = message('a', alice)
  const wrong: MessageRecord[] = [
    { ...good, body: 'lone \ud800' },
    { ...good, id: '' },
    { ...good, id: 'a b' },
    { ...good, id: 'a\0' },
    { ...good, id: 'x'.repeat(129) },
    { ...good, atMs: Number.NaN },
    { ...good, atMs: 1e16 },
    { ...good, kind: 'file' as 'text' },
  ]
  for (const record of wrong) assertFails(() => outbox.add(record), 'invalid-message')
})

test('a device that stays away cannot fill the disk, and the others are not affected', () => {
  const outbox = openOutbox(openDatabase(':memory:', { mayCreate: true }), { messagesPerDevice: 3 })
  for (const id of ['1', '2', '3']) outbox.add(message(id, alice))
  assertFails(() => outbox.add(message('4', alice)), 'disk-full', /3 messages/)
  outbox.add(message('5', bob))
  outbox.remove('1')
  outbox.add(message('6', alice))
  assert.deepEqual(
    outbox.list({ peerId: alice }).map(({ id }) => id),
    ['2', '3', '6'],
  )
})
