import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openMemoryStore, openStore } from '../../src/store/store.ts'
import type { MessageRecord } from '../../src/store/stored-message.ts'
import { boxes } from './boxes.ts'
import { accept, alice, assertFails, bob, temporaryDirectory } from './fixtures.ts'
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

test('the newest messages are kept, and their ids longer than they are', () => {
  const { inbox } = boxes({ inbox: { messages: 3, seenPerDevice: 5 } })
  accept(inbox, message('from-bob', bob))
  for (let number = 1; number <= 10; number += 1) accept(inbox, message(`m${number}`, alice))
  assert.deepEqual(
    inbox.list().map(({ id, sequence }) => [id, sequence]),
    [
      ['m8', 9],
      ['m9', 10],
      ['m10', 11],
    ],
  )
  assert.equal(accept(inbox, message('m6', alice)).outcome, 'duplicate')
  assert.equal(accept(inbox, message('from-bob', bob)).outcome, 'duplicate')
  assert.equal(accept(inbox, message('m5', alice)).outcome, 'new')
})

test('what has just arrived is never dropped for what arrives with it; the next delivery makes up for it', () => {
  const { inbox } = boxes({ inbox: { messages: 3 } })
  const dropped: number[] = []
  const stop = inbox.onDropped((count) => dropped.push(count))
  const kept = (): string =>
    inbox
      .list()
      .map(({ id }) => id)
      .join(' ')
  inbox.accept(many('a', 2))
  inbox.accept(many('b', 5))
  assert.equal(kept(), 'b0 b1 b2 b3 b4')
  inbox.accept(many('c', 1))
  assert.equal(kept(), 'b3 b4 c0')
  inbox.accept(many('d', 4))
  assert.equal(inbox.prune(), 1)
  assert.equal(kept(), 'd1 d2 d3')
  assert.deepEqual(dropped, [2, 3, 3, 1])
  stop()
  inbox.accept(many('e', 1))
  assert.equal(dropped.length, 4)
})

test('what was removed on purpose, or not stored after all, was not dropped', () => {
  const { inbox } = boxes({ inbox: { messages: 1 } })
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
    inbox.accept([one, two, one]).map(({ outcome, sequence }) => [outcome, sequence]),
    [
      ['new', 1],
      ['new', 2],
      ['duplicate', 1],
    ],
  )
  assert.equal(inbox.accept([two, three])[1]?.sequence, 3)
})

test('bytes and age are bounds too, in small steps when there is much to do', async () => {
  const { inbox, time } = boxes({ inbox: { bytes: 10_000, keptMs: 1_000 } })
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
  assert.equal(accept(again.inbox, message('three', alice)).sequence, 3)
  again.close()
})

test('however long a sender was away and whatever was removed, what it repeats is known', async () => {
  const { inbox, time } = boxes({ inbox: { messages: 1, keptMs: 1, seenPerDevice: 300 } })
  const sent = Array.from({ length: 256 }, (_, number) => message(`m${number}`, alice))
  inbox.accept(sent)
  for (let number = 0; number < 5_000; number++) accept(inbox, message(`n${number}`, bob))
  await time.pass(10 * 365 * 24 * 3_600_000)
  while (inbox.prune() > 0);
  assert.ok(inbox.accept(sent).every(({ outcome }) => outcome === 'duplicate'))
})
