import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openMemoryStore, openStore } from '../../src/store/store.ts'
import type { Outbox } from '../../src/store/outbox.ts'
import type { MessageRecord } from '../../src/store/stored-message.ts'
import { boxes } from './boxes.ts'
import { alice, assertFails, bob, carol, queue, temporaryDirectory } from './fixtures.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

const nobodyIsSent = (): boolean => false
const idsFor = (outbox: Outbox, peerId: PeerId): string[] => outbox.batch(peerId).map(({ id }) => id)
const hourMs = 3_600_000

const message = (id: string, peerId: PeerId, body = id): MessageRecord => ({
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
  for (const id of ['a1', 'a2', 'a3']) queue(outbox, message(id, alice))
  queue(outbox, message('b1', bob))
  opened.close()
  const again = openStore({ dataDir: directory })
  assert.deepEqual(idsFor(again.outbox, alice), ['a1', 'a2', 'a3'])
  assert.equal(again.outbox.remove(['a1', 'nobody']), 1)
  assert.equal(again.outbox.remove(['a1']), 0)
  assert.deepEqual(idsFor(again.outbox, alice), ['a2', 'a3'])
  assert.deepEqual(
    again.outbox.list().map(({ id }) => id),
    ['a2', 'a3', 'b1'],
  )
  assert.equal(again.outbox.dropFor(alice), 2)
  assert.deepEqual(idsFor(again.outbox, alice), [])
  assert.deepEqual(idsFor(again.outbox, bob), ['b1'])
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
    assert.deepEqual(queue(outbox, given), { ...given, sequence: index + 1 })
    outbox.remove([given.id])
  }
})

test('a sequence is never used twice', () => {
  const { outbox } = openMemoryStore()
  const first = queue(outbox, message('a', alice))
  outbox.remove(['a'])
  assert.ok(queue(outbox, message('b', alice)).sequence > first.sequence)
})

test('more than 256 KiB is refused, counted as UTF-8', () => {
  const { outbox } = openMemoryStore()
  assertFails(() => queue(outbox, message('a', alice, 'x'.repeat(262_145))), 'too-large', /262145/)
  assertFails(() => queue(outbox, message('a', alice, 'ü'.repeat(131_073))), 'too-large')
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
  for (const record of wrong) assertFails(() => queue(outbox, record), 'invalid-message')
})

test('more than 768 KiB with control characters written out is refused: a session could not carry it', () => {
  const { outbox } = openMemoryStore()
  queue(outbox, message('fits', alice, '\u0001'.repeat(131_000)))
  assertFails(() => queue(outbox, message('a', alice, '\u0001'.repeat(131_100))), 'too-large', /written out/)
  queue(outbox, message('lines', alice, '\n"'.repeat(131_072)))
})

test('a batch is bounded in messages and bytes, and never empty while something waits', () => {
  const { outbox } = openMemoryStore()
  outbox.add(Array.from({ length: 300 }, (_, number) => message(`m${number}`, alice)))
  assert.equal(idsFor(outbox, alice).length, 256)
  outbox.add(['x', 'y', 'z'].map((id) => message(id, bob, id.repeat(60_000))))
  assert.deepEqual(idsFor(outbox, bob), ['x', 'y'])
  outbox.add([message('large', carol, 'x'.repeat(200_000)), message('small', carol)])
  assert.deepEqual(idsFor(outbox, carol), ['large'])
})

test('a device that stays away cannot fill the disk, and the others are not affected', () => {
  const { outbox } = boxes({ outbox: { perDevice: { messages: 3, bytes: 100 } } })
  for (const id of ['1', '2', '3']) queue(outbox, message(id, alice))
  assertFails(() => queue(outbox, message('4', alice)), 'outbox-full', /3 messages/)
  queue(outbox, message('5', bob))
  assertFails(() => queue(outbox, message('6', bob, 'x'.repeat(100))), 'outbox-full', /1 bytes/)
  queue(outbox, message('6', bob, 'x'.repeat(99)))
  outbox.remove(['1'])
  queue(outbox, message('7', alice))
  assert.deepEqual(idsFor(outbox, alice), ['2', '3', '7'])
  outbox.dropFor(alice)
  for (const id of ['8', '9', '10']) queue(outbox, message(id, alice))
  assertFails(() => queue(outbox, message('11', alice)), 'outbox-full')
})

test('all devices together have a limit too', () => {
  const { outbox } = boxes({ outbox: { inAll: { messages: 3, bytes: 1_000 } } })
  for (const peerId of [alice, bob, carol]) queue(outbox, message(peerId, peerId))
  assertFails(() => queue(outbox, message('4', alice)), 'outbox-full', /devices that are away/)
})

test('of several messages those that fit are kept, and each of the others says why it is not', () => {
  const { outbox } = boxes({ outbox: { perDevice: { messages: 2, bytes: 1_000_000 } } })
  const wanted = [message('1', alice), message('2', alice, 'x'.repeat(262_145)), message('3', alice)]
  const outcomes = outbox.add([...wanted, message('4', alice)])
  assert.deepEqual(
    outcomes.map((outcome) => (outcome instanceof Error ? outcome.code : outcome.id)),
    ['1', 'too-large', '3', 'outbox-full'],
  )
  assert.deepEqual(idsFor(outbox, alice), ['1', '3'])
  // An id that is there already is a defect: then none is kept, and none is counted.
  assertFails(() => outbox.add([message('5', bob), message('1', bob)]), 'internal')
  outbox.remove(['1'])
  queue(outbox, message('6', alice))
  assert.deepEqual(idsFor(outbox, bob), [])
})

test('a message whose time is over is not sent, is taken out, and is shown for a while', async () => {
  const { outbox, time } = boxes()
  queue(outbox, { ...message('short', alice), expiresInMs: hourMs })
  queue(outbox, message('usual', alice))
  queue(outbox, { ...message('for ever', bob), id: 'for-ever', expiresInMs: null })
  assert.equal(outbox.untilExpiry(), hourMs)
  await time.pass(hourMs - 1)
  assert.deepEqual(idsFor(outbox, alice), ['short', 'usual'])
  assert.deepEqual(outbox.expire(nobodyIsSent), [])
  await time.pass(1)
  assert.equal(outbox.untilExpiry(), 0)
  assert.deepEqual(idsFor(outbox, alice), ['usual'])
  assert.deepEqual(
    outbox.expire(nobodyIsSent).map(({ id, peerId }) => [id, peerId]),
    [['short', alice]],
  )
  assert.deepEqual(
    outbox.expired().map(({ id, body, expiresAtMs }) => [id, body, expiresAtMs]),
    [['short', 'short', time.wall()]],
  )
  await time.pass(364 * 24 * hourMs)
  assert.deepEqual(idsFor(outbox, alice), ['usual'], 'a device that stays away for months')
  await time.pass(24 * hourMs)
  assert.deepEqual(
    outbox.expire(nobodyIsSent).map(({ id }) => id),
    ['usual'],
  )
  assert.deepEqual(
    outbox.expired().map(({ id }) => id),
    ['usual'],
    'the earlier one is forgotten after thirty days',
  )
  await time.pass(3_000 * 24 * hourMs)
  assert.deepEqual(idsFor(outbox, bob), ['for-ever'])
  assert.equal(outbox.untilExpiry(), null)
})

test('a message that is being sent does not expire, for it may have arrived', async () => {
  const { outbox, time } = boxes()
  for (const id of ['one', 'two']) queue(outbox, { ...message(id, alice), expiresInMs: 5 })
  await time.pass(5)
  assert.deepEqual(
    outbox.expire((id) => id === 'one').map(({ id }) => id),
    ['two'],
  )
  assert.deepEqual(
    outbox.list().map(({ id }) => id),
    ['one'],
  )
})

test('a wall clock that is set neither ages a message nor makes it young', async () => {
  const { outbox, time } = boxes()
  queue(outbox, { ...message('m', alice), expiresInMs: hourMs })
  time.sleep(1_000 * hourMs)
  assert.deepEqual(idsFor(outbox, alice), ['m'])
  time.sleep(-5_000 * hourMs)
  await time.pass(hourMs)
  assert.deepEqual(idsFor(outbox, alice), [])
})

test('the last hundred that expired are shown, and none of a device that was revoked', async () => {
  const { outbox, time } = boxes()
  outbox.add(
    Array.from({ length: 250 }, (_, number) => ({ ...message(`m${number}`, alice), expiresInMs: 1 })),
  )
  await time.pass(1)
  const steps = [1, 2, 3, 4].map(() => outbox.expire(nobodyIsSent).length)
  assert.deepEqual(steps, [100, 100, 50, 0], 'in steps')
  assert.equal(outbox.expired().length, 100)
  assert.equal(outbox.expired().at(-1)?.id, 'm249')
  outbox.dropFor(alice)
  assert.deepEqual(outbox.expired(), [])
})
