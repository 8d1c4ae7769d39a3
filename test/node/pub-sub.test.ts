import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import type { Device, Publication, SpacedockNode } from '../../src/api.ts'
import { within } from '../network/real-hosts.ts'
import { nextEvent, TestNodes } from './nodes.ts'

test('what a device publishes reaches those that subscribe, and only those', async () => {
  await using nodes = new TestNodes()
  const { alice, bob, aliceAtBob, bobAtAlice } = await nodes.pair()
  assert.deepEqual(await alice.publish('notes', 1), [])
  const subscription = bob.subscribe('notes', { schema: v.object({ text: v.string() }) })
  await reaches(alice, 'notes', { text: 'first' }, bobAtAlice)
  assert.deepEqual(await alice.publish('other', {}), [])
  assert.deepEqual(await alice.publish('notes', { text: 5 }), [bobAtAlice], 'and is dropped there')
  assert.deepEqual(await alice.publish('notes', { text: 'second' }), [bobAtAlice])
  const first = await next(subscription)
  assert.deepEqual(first, { topic: 'notes', value: { text: 'first' }, device: aliceAtBob, missed: 0 })
  assert.equal((await next(subscription)).value.text, 'second')
  await subscription.return?.()
  await stopsReaching(alice, 'notes')
})

test('a subscription outlives a reconnection and a restart of the publisher, and ends with its signal', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const [first, bob] = await Promise.all([nodes.make('alice', { dataDir }), nodes.make('bob')])
  const connected = nextEvent(bob, 'device:connected')
  const invitation = await first.pair()
  await bob.join(invitation.words, { peers: first.status().listen })
  const bobAtFirst = await invitation.paired
  await connected
  const end = new AbortController()
  const seen: unknown[] = []
  const reading = (async () => {
    for await (const { value } of bob.subscribe('notes', { signal: end.signal })) seen.push(value)
  })()
  await reaches(first, 'notes', 'before', bobAtFirst)
  const again = nextEvent(bob, 'device:connected')
  await first.close()
  const alice = await nodes.make('alice', { dataDir })
  await again
  await reaches(alice, 'notes', 'after', alice.device('bob'))
  // Handed over in order: what follows the answer has been seen.
  await alice.device('bob').ping()
  end.abort()
  await within(reading, 'the end')
  assert.deepEqual(seen, ['before', 'after'])
  await stopsReaching(alice, 'notes')
})

test('a slow reader loses the oldest, and is told how many', async () => {
  await using nodes = new TestNodes()
  const { alice, bob, bobAtAlice } = await nodes.pair()
  const slow = bob.subscribe('count', { maxBuffered: 10 })
  const other = bob.subscribe('count')
  await reaches(alice, 'count', 0, bobAtAlice)
  for (let value = 1; value < 100; value++) await alice.publish('count', value)
  for (let value = 0; value < 100; value++) assert.equal((await next(other)).value, value)
  const { value, missed } = await next(slow)
  assert.deepEqual([value, missed], [90, 90])
  assert.deepEqual((await next(slow)).missed, 0)
})

test('a device that was revoked is neither reached nor heard', async () => {
  await using nodes = new TestNodes()
  const { alice, bob, bobAtAlice } = await nodes.pair()
  const subscription = bob.subscribe('notes')
  await reaches(alice, 'notes', 1, bobAtAlice)
  await bobAtAlice.revoke()
  assert.deepEqual(await alice.publish('notes', 2), [])
  await bob.close()
  const all: unknown[] = []
  for await (const { value } of subscription) all.push(value)
  assert.deepEqual(all, [], 'closing the node ends it')
})

test('topics, sizes and numbers have their limits', async () => {
  await using nodes = new TestNodes()
  const alice = await nodes.make('alice')
  for (const topic of ['', 'x'.repeat(129), 'é'.repeat(65), 'a\nb', '\ud800']) {
    assert.throws(() => alice.subscribe(topic), { code: 'invalid-argument' }, JSON.stringify(topic))
    await assert.rejects(alice.publish(topic, 1), { code: 'invalid-argument' })
  }
  await assert.rejects(alice.publish('large', 'x'.repeat(65_000)), { code: 'too-large' })
  assert.throws(() => alice.subscribe('a', { maxBuffered: 0 }), { code: 'invalid-argument' })
  for (let index = 0; index < 256; index++) alice.subscribe(`topic ${index}`)
  assert.throws(() => alice.subscribe('one more'), { code: 'too-large' })
  for (let index = 256; index < 1_024; index++) alice.subscribe('topic 1')
  assert.throws(() => alice.subscribe('topic 1'), { code: 'too-large' })
})

async function next<Value>(subscription: AsyncIterator<Publication<Value>>): Promise<Publication<Value>> {
  const result = await within(subscription.next(), 'a publication')
  assert.ok(result.done !== true)
  return result.value
}

/** Publishes until the device, which is told of a subscription a moment after it was made, is reached: once. */
async function reaches(node: SpacedockNode, topic: string, value: unknown, device: Device): Promise<void> {
  const giveUpAt = performance.now() + 10_000
  for (;;) {
    const reached = await node.publish(topic, value)
    if (reached.includes(device)) return
    assert.ok(performance.now() < giveUpAt, `${topic} reaches ${device.name}`)
    await new Promise((resolve) => void setTimeout(resolve, 5))
  }
}

async function stopsReaching(node: SpacedockNode, topic: string): Promise<void> {
  const giveUpAt = performance.now() + 10_000
  while ((await node.publish(topic, null)).length > 0) {
    assert.ok(performance.now() < giveUpAt, `${topic} is wanted for ever`)
    await new Promise((resolve) => void setTimeout(resolve, 5))
  }
}
