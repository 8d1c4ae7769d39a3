import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Log, Message } from '../../src/api.ts'
import { within } from '../network/real-hosts.ts'
import { nextEvent, pairOfSuite, TestNodes } from './nodes.ts'

describe('messages between two nodes', () => {
  const { pair } = pairOfSuite()

  test('arrive as events, in the inbox and in the iterator, as they were sent', async () => {
    const { alice, bob, bobAtAlice } = pair()
    const arrival = nextEvent(bob, 'message')
    const delivery = nextEvent(alice, 'message:delivered')
    const { id, status } = await bobAtAlice.send({ json: { lamp: 'on' } })
    assert.equal(status, 'delivered')
    const message = await arrival
    const { at, sequence, ...rest } = message
    assert.deepEqual(rest, { id, from: { id: alice.id, name: 'alice' }, json: { lamp: 'on' } })
    assert.match(at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/u)
    assert.deepEqual(await delivery, { id, to: bob.id })
    assert.deepEqual(bob.inbox().at(-1), message)
    assert.deepEqual(bob.inbox({ after: sequence }), [])
    assert.deepEqual(alice.outbox(), [])
    assert.deepEqual(await takeOne(bob.messages({ after: sequence - 1 })), message)
  })

  test('both ways at once, each side in order', async () => {
    const { alice, bob, aliceAtBob, bobAtAlice } = pair()
    const before = { alice: alice.inbox().at(-1)?.sequence ?? 0, bob: bob.inbox().at(-1)?.sequence ?? 0 }
    const numbers = Array.from({ length: 50 }, (_, index) => String(index))
    await Promise.all(numbers.flatMap((text) => [aliceAtBob.send(text), bobAtAlice.send(text)]))
    for (const [node, sequence] of [
      [alice, before.alice],
      [bob, before.bob],
    ] as const) {
      assert.deepEqual(
        node.inbox({ after: sequence }).map(({ text }) => text),
        numbers,
      )
    }
  })

  test('the iterator gives what comes while it waits, and ends with its signal', async () => {
    const { bob, bobAtAlice } = pair()
    const end = new AbortController()
    const after = bob.inbox().at(-1)?.sequence ?? 0
    const messages = bob.messages({ after, signal: end.signal })
    const next = takeOne(messages)
    await bobAtAlice.send('while you wait')
    assert.equal((await next).text, 'while you wait')
    const last = messages.next()
    end.abort()
    assert.deepEqual(await within(last, 'the end'), { done: true, value: undefined })
  })

  test('a value that is not JSON, or too large, is refused and not kept', async () => {
    const { alice, bobAtAlice } = pair()
    await assert.rejects(bobAtAlice.send({ json: undefined }), { code: 'invalid-argument' })
    await assert.rejects(bobAtAlice.send('x'.repeat(256 * 1024 + 1)), { code: 'too-large' })
    await assert.rejects(bobAtAlice.send('\ud800'), { code: 'invalid-message' })
    assert.deepEqual(alice.outbox(), [])
  })
})

test('messages expire, are taken out of the inbox and are limited as the options say', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const pruned: unknown[] = []
  const log: Log = (level, event, fields) =>
    void (event === 'inbox.pruned' && pruned.push([level, fields?.['messages']]))
  const [alice, bob] = await Promise.all([
    nodes.make('alice', { messages: { outboxDays: 2 } }),
    nodes.make('bob', { dataDir, log, messages: { inboxMessages: 6, inboxFull: 'drop-oldest' } }),
  ])
  const invitation = await alice.pair()
  await bob.join(invitation.words, { peers: alice.status().listen })
  const device = await invitation.paired
  for (const text of ['one', 'two', 'three', 'four', 'five']) await device.send(text)
  assert.deepEqual(
    bob.inbox().map(({ text, sequence }) => [text, sequence]),
    [
      ['three', 3],
      ['four', 4],
      ['five', 5],
    ],
  )
  assert.equal(bob.metrics().messages.dropped, 2)
  assert.deepEqual(pruned, [
    ['info', 1],
    ['info', 1],
  ])
  assert.equal(await bob.removeMessage(4), true)
  assert.equal(await bob.removeMessage(4), false)
  assert.equal(await bob.clearInbox({ upTo: 4 }), 1)
  assert.equal(await bob.clearInbox(), 1)
  await device.send('six')
  assert.equal(bob.inbox()[0]?.sequence, 6)

  await bob.close()
  const expiry = nextEvent(alice, 'message:expired')
  const { id } = await device.send('soon over', { expiresInMs: 50 })
  await device.send('usual')
  await device.send('for ever', { expiresInMs: Number.POSITIVE_INFINITY })
  assert.deepEqual(await expiry, { id, to: bob.id })
  assert.equal(alice.metrics().messages.expired, 1)
  const [expired, usual, forEver] = alice.outbox()
  assert.deepEqual([expired?.text, expired?.state], ['soon over', 'expired'])
  const days = (Date.parse(usual?.expiresAt ?? '') - Date.now()) / 86_400_000
  assert.ok(days > 1.9 && days <= 2, `${days} days`)
  assert.deepEqual([forEver?.state, forEver?.expiresAt], ['queued', null])

  const delivered = nextEvent(alice, 'message:delivered')
  const back = await nodes.make('bob', { dataDir })
  await delivered
  const arrived = back.inbox().find(({ text }) => text === 'usual')
  for await (const message of back.messages({ after: arrived?.sequence ?? 0 })) {
    assert.equal(message.text, 'for ever')
    break
  }
  assert.deepEqual(
    back.inbox().map(({ text }) => text),
    ['six', 'usual', 'for ever'],
  )
})

test('closing the node ends the iterator', async () => {
  await using nodes = new TestNodes()
  const alice = await nodes.make('alice')
  const next = alice.messages().next()
  await alice.close()
  assert.deepEqual(await within(next, 'the end'), { done: true, value: undefined })
})

async function takeOne(messages: AsyncIterableIterator<Message>): Promise<Message> {
  const { value } = await within(messages.next(), 'a message')
  return value as Message
}
