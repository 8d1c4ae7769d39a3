import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/clock.ts'
import { openDatabase } from '../../src/store/database.ts'
import { openInbox, type Dropped, type Inbox } from '../../src/store/inbox.ts'
import { openPersistentClock } from '../../src/store/persistent-clock.ts'
import { openMemoryStore, openStore } from '../../src/store/store.ts'
import type { MessageRecord } from '../../src/store/stored-message.ts'
import { boxes } from './boxes.ts'
import { accept, acceptAll, alice, assertFails, bob, peerIdOf, temporaryDirectory } from './fixtures.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

const message = (id: string, peerId: PeerId): MessageRecord => ({
  id,
  peerId,
  kind: 'text',
  body: id,
  atMs: 5,
})

const many = (name: string, count: number): MessageRecord[] =>
  Array.from({ length: count }, (_, number) => message(`${name}${number}`, alice))

test('a message is kept once, however often it arrives, also after a restart', (context) => {
  const directory = temporaryDirectory(context)
  const opened = openStore({ dataDir: directory })
  const { inbox } = opened
  assert.deepEqual(accept(inbox, message('m', alice)), { outcome: 'new', sequence: 1 })
  assert.deepEqual(accept(inbox, message('m', alice)), { outcome: 'duplicate', sequence: 1 })
  opened.close()
  const again = openStore({ dataDir: directory })
  assert.deepEqual(accept(again.inbox, { ...message('m', alice), body: 'other' }), {
    outcome: 'duplicate',
    sequence: 1,
  })
  assert.deepEqual(again.inbox.list(), [{ ...message('m', alice), sequence: 1 }])
  again.close()
})

test("one sender's ids do not stand in another's way", () => {
  const { inbox } = openMemoryStore()
  for (const id of ['m', '__proto__', 'constructor']) {
    assert.equal(accept(inbox, message(id, alice)).outcome, 'new')
    assert.equal(accept(inbox, message(id, bob)).outcome, 'new')
  }
  assert.equal(inbox.list().length, 6)
})

test('the list starts behind a sequence and ends at a limit', () => {
  const { inbox } = openMemoryStore()
  for (let number = 1; number <= 9; number += 1) accept(inbox, message(`m${number}`, alice))
  const ids = (options: { after?: number; limit?: number }): string[] =>
    inbox.list(options).map(({ id }) => id)
  assert.deepEqual(ids({ after: 7 }), ['m8', 'm9'])
  assert.deepEqual(ids({ after: 2, limit: 2 }), ['m3', 'm4'])
  assert.deepEqual(ids({ limit: 0 }), [])
})

test('a sender that has filled its share is refused, and nothing of anybody is dropped for it', () => {
  const { inbox } = boxes({ inbox: { messages: 100 } })
  inbox.onDropped(() => assert.fail('something was dropped'))
  accept(inbox, message('from-bob', bob))
  let accepted = 0
  while (Array.isArray(inbox.accept([message(`m${accepted}`, alice)]))) accepted++
  assert.equal(accepted, 50)
  assert.equal(inbox.isFullFor(alice), true)
  assert.equal(inbox.isFullFor(bob), false)
  for (let number = 0; number < 20; number++) accept(inbox, message(`b${number}`, bob))
  assert.equal(inbox.amount().messages, 71)
  // What has been accepted before is known all the same: its receipt was lost.
  assert.equal(accept(inbox, message('m49', alice)).outcome, 'duplicate')
  assert.deepEqual(inbox.accept([message('m49', alice), message('m50', alice)]), {
    room: { messages: 0, bytes: 134_217_559 },
  })
  // Whoever takes messages out makes room.
  assert.equal(inbox.removeSome(40), 40)
  assert.equal(accept(inbox, message('m50', alice)).outcome, 'new')
})

test('however many senders fill it and in whatever order, what a sender adds was free twice, and no more', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 40 })), { maxLength: 60 }),
      (messages, deliveries) => {
        const { inbox } = boxes({ inbox: { messages } })
        const held = new Map<number, number>()
        for (const [sender, count] of deliveries) {
          const own = held.get(sender) ?? 0
          const deliver = (upTo: number): ReturnType<Inbox['accept']> =>
            inbox.accept(
              Array.from({ length: upTo }, (_, index) => message(`m${own + index}`, peerIdOf(sender))),
            )
          const outcome = deliver(count)
          const added = Array.isArray(outcome) ? count : Math.min(count, outcome.room.messages)
          if (!Array.isArray(outcome)) {
            assert.ok(outcome.room.messages < count)
            assert.ok(Array.isArray(deliver(outcome.room.messages)), 'what is said to fit fits')
          }
          held.set(sender, own + added)
          const inAll = [...held.values()].reduce((sum, each) => sum + each, 0)
          assert.equal(inbox.amount().messages, inAll)
          assert.ok(inAll <= messages)
          if (added > 0) assert.ok(own + added <= messages - inAll + 1, 'no more than is left to the others')
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('where that is the rule, the oldest of the sender itself make room, and its ids stay longer than they do', () => {
  const { inbox } = boxes({ inbox: { messages: 6, whenFull: 'drop-oldest', seenPerDevice: 5 } })
  accept(inbox, message('from-bob', bob))
  for (let number = 1; number <= 10; number += 1) accept(inbox, message(`m${number}`, alice))
  assert.deepEqual(
    inbox.list().map(({ id, sequence }) => [id, sequence]),
    [
      ['from-bob', 1],
      ['m8', 9],
      ['m9', 10],
      ['m10', 11],
    ],
  )
  assert.equal(accept(inbox, message('m6', alice)).outcome, 'duplicate')
  assert.equal(accept(inbox, message('from-bob', bob)).outcome, 'duplicate')
  assert.equal(accept(inbox, message('m5', alice)).outcome, 'new')
})

test('where the oldest make room, what comes together is not dropped for itself: too much of it is refused', () => {
  const { inbox } = boxes({ inbox: { messages: 6, whenFull: 'drop-oldest' } })
  const dropped: Dropped[] = []
  const stop = inbox.onDropped((each) => dropped.push(each))
  const kept = (): string =>
    inbox
      .list()
      .map(({ id }) => id)
      .join(' ')
  inbox.accept(many('a', 2))
  assert.deepEqual(inbox.accept(many('b', 4)), { room: { messages: 3, bytes: 134_217_728 } })
  inbox.accept(many('b', 3))
  assert.equal(kept(), 'b0 b1 b2')
  inbox.accept(many('c', 1))
  assert.equal(kept(), 'b1 b2 c0')
  assert.deepEqual(dropped, [
    { messages: 2, rule: 'share' },
    { messages: 1, rule: 'share' },
  ])
  stop()
  inbox.accept(many('d', 3))
  assert.equal(dropped.length, 2)
})

test('an inbox whose bound was lowered is emptied from the side of whoever has most, where that is the rule', () => {
  const path = ':memory:'
  const database = openDatabase(path, { mayCreate: true })
  const clock = openPersistentClock(database, systemClock)
  const before = openInbox(database, clock)
  before.accept(many('a', 40))
  for (let number = 0; number < 3; number++) accept(before, message(`b${number}`, bob))
  const waiting = openInbox(database, clock, { messages: 10 })
  assert.equal(waiting.prune(), 0)
  assert.equal(waiting.isFullFor(bob), true)
  const dropping = openInbox(database, clock, { messages: 10, whenFull: 'drop-oldest' })
  assert.equal(dropping.prune(), 33)
  assert.equal(dropping.prune(), 0)
  assert.equal(dropping.list().filter(({ peerId }) => peerId === bob).length, 3)
})

test('what was removed on purpose, or not stored after all, was not dropped', () => {
  const { inbox } = boxes({ inbox: { messages: 10 } })
  inbox.onDropped(() => assert.fail('something was dropped'))
  accept(inbox, message('one', alice))
  const tooLarge = { ...message('three', alice), body: 'x'.repeat(262_145) }
  assertFails(() => inbox.accept([message('two', alice), tooLarge]), 'too-large')
  assert.equal(inbox.removeSome(Number.MAX_SAFE_INTEGER), 1)
})

test('what is too large or malformed is refused and not remembered as seen', () => {
  const { inbox } = openMemoryStore()
  assertFails(() => accept(inbox, { ...message('m', alice), body: 'x'.repeat(262_145) }), 'too-large')
  assertFails(() => accept(inbox, { ...message('m', alice), body: '\udfff' }), 'invalid-message')
  assert.equal(accept(inbox, message('m', alice)).outcome, 'new')
})

test('messages that come together are stored together, each once, and none when one cannot be', () => {
  const { inbox } = openMemoryStore()
  const [one, two, three] = ['one', 'two', 'three'].map((id) => message(id, alice))
  assert.ok(one && two && three)
  assertFails(() => inbox.accept([one, { ...two, body: 'x'.repeat(262_145) }]), 'too-large')
  assert.deepEqual(inbox.list(), [])
  assert.deepEqual(
    acceptAll(inbox, [one, two, one]).map(({ outcome, sequence }) => [outcome, sequence]),
    [
      ['new', 1],
      ['new', 2],
      ['duplicate', 1],
    ],
  )
  assert.equal(acceptAll(inbox, [two, three])[1]?.sequence, 3)
})

test('bytes and age are bounds too, in small steps when there is much to do', async () => {
  const { inbox, time } = boxes({ inbox: { bytes: 20_000, keptMs: 1_000, whenFull: 'drop-oldest' } })
  for (let number = 0; number < 30; number++) {
    accept(inbox, { ...message(`m${number}`, alice), body: 'x'.repeat(1_000) })
  }
  assert.equal(inbox.list().length, 10)
  await time.pass(1_000)
  assert.equal(inbox.prune(), 0)
  time.sleep(100_000)
  assert.equal(inbox.prune(), 0, 'the wall clock was set')
  await time.pass(1)
  assert.equal(inbox.prune(), 10)
  assert.equal(inbox.prune(), 0)
  assert.deepEqual(inbox.list(), [])
  assert.equal(accept(inbox, message('m1', alice)).outcome, 'duplicate')
})

test('an inbox that is far too large is pruned in steps of a few hundred messages and a few megabytes', () => {
  const inbox = boxes().inbox
  inbox.accept(many('m', 500))
  assert.deepEqual(
    [1, 2, 3, 4].map(() => inbox.removeSome(450)),
    [200, 200, 50, 0],
  )
  inbox.accept(
    Array.from({ length: 20 }, (_, number) => ({
      ...message(`l${number}`, alice),
      body: 'x'.repeat(250_000),
    })),
  )
  inbox.removeSome(500)
  assert.equal(inbox.removeSome(Number.MAX_SAFE_INTEGER), 8)
})

test('a sequence is never used again, neither after the last message was removed nor after a restart', (context) => {
  const directory = temporaryDirectory(context)
  const opened = openStore({ dataDir: directory })
  assert.equal(opened.inbox.lastSequence(), 0)
  accept(opened.inbox, message('one', alice))
  assert.equal(accept(opened.inbox, message('two', alice)).sequence, 2)
  assert.equal(opened.inbox.remove(2), true)
  assert.equal(opened.inbox.remove(2), false)
  assert.equal(opened.inbox.removeSome(Number.MAX_SAFE_INTEGER), 1)
  assert.equal(opened.inbox.lastSequence(), 2)
  opened.close()
  const again = openStore({ dataDir: directory })
  assert.deepEqual(accept(again.inbox, message('two', alice)), { outcome: 'duplicate', sequence: 2 })
  assert.ok(accept(again.inbox, message('three', alice)).sequence > 2)
  again.close()
})

test('however long a sender was away and whatever was removed, what it repeats is known', async () => {
  const { inbox, time } = boxes({
    inbox: { messages: 600, whenFull: 'drop-oldest', keptMs: 1, seenPerDevice: 300 },
  })
  const sent = Array.from({ length: 256 }, (_, number) => message(`m${number}`, alice))
  inbox.accept(sent)
  for (let number = 0; number < 5_000; number++) accept(inbox, message(`n${number}`, bob))
  await time.pass(10 * 365 * 24 * 3_600_000)
  while (inbox.prune() > 0);
  assert.ok(acceptAll(inbox, sent).every(({ outcome }) => outcome === 'duplicate'))
})
