import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../src/store/database.ts'
import { openInbox } from '../../src/store/inbox.ts'
import { openMemoryStore, openStore } from '../../src/store/store.ts'
import type { MessageRecord } from '../../src/store/stored-message.ts'
import { alice, assertFails, bob, temporaryDirectory } from './fixtures.ts'

const message = (id: string, peerId: string): MessageRecord => ({
  id,
  peerId,
  kind: 'text',
  body: id,
  atMs: 5,
})

test('a message is kept once, however often it arrives, also after a restart', (context) => {
  const directory = temporaryDirectory(context)
  const opened = openStore({ dataDir: directory })
  const { inbox } = opened
  assert.deepEqual(inbox.accept(message('m', alice)), { outcome: 'new', sequence: 1 })
  assert.deepEqual(inbox.accept(message('m', alice)), { outcome: 'duplicate', sequence: 1 })
  opened.close()
  const again = openStore({ dataDir: directory })
  assert.deepEqual(again.inbox.accept({ ...message('m', alice), body: 'other' }), {
    outcome: 'duplicate',
    sequence: 1,
  })
  assert.deepEqual(again.inbox.list(), [{ ...message('m', alice), sequence: 1 }])
  again.close()
})

test("one sender's ids do not stand in another's way", () => {
  const { inbox } = openMemoryStore()
  for (const id of ['m', '__proto__', 'constructor']) {
    assert.equal(inbox.accept(message(id, alice)).outcome, 'new')
    assert.equal(inbox.accept(message(id, bob)).outcome, 'new')
  }
  assert.equal(inbox.list().length, 6)
})

test('the list starts behind a sequence and ends at a limit', () => {
  const { inbox } = openMemoryStore()
  for (let number = 1; number <= 9; number += 1) inbox.accept(message(`m${number}`, alice))
  const ids = (options: { after?: number; limit?: number }): string[] =>
    inbox.list(options).map(({ id }) => id)
  assert.deepEqual(ids({ after: 7 }), ['m8', 'm9'])
  assert.deepEqual(ids({ after: 2, limit: 2 }), ['m3', 'm4'])
  assert.deepEqual(ids({ limit: 0 }), [])
})

test('the newest messages are kept, and their ids longer than they are', () => {
  const limits = { messages: 3, seenPerDevice: 5 }
  const inbox = openInbox(openDatabase(':memory:', { mayCreate: true }), limits)
  inbox.accept(message('from-bob', bob))
  for (let number = 1; number <= 10; number += 1) inbox.accept(message(`m${number}`, alice))
  assert.deepEqual(
    inbox.list().map(({ id, sequence }) => [id, sequence]),
    [
      ['m8', 9],
      ['m9', 10],
      ['m10', 11],
    ],
  )
  assert.equal(inbox.accept(message('m6', alice)).outcome, 'duplicate')
  assert.equal(inbox.accept(message('from-bob', bob)).outcome, 'duplicate')
  assert.equal(inbox.accept(message('m5', alice)).outcome, 'new')
})

test('what is too large or malformed is refused and not remembered as seen', () => {
  const { inbox } = openMemoryStore()
  assertFails(() => inbox.accept({ ...message('m', alice), body: 'x'.repeat(262_145) }), 'too-large')
  assertFails(() => inbox.accept({ ...message('m', alice), body: '\udfff' }), 'invalid-message')
  assert.equal(inbox.accept(message('m', alice)).outcome, 'new')
})
