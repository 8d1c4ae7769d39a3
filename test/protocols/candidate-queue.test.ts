import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FoundPeer } from '../../src/network/discovery/candidate-sources.ts'
import { CandidateQueue } from '../../src/protocols/candidate-queue.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { asPeer } from '../peers.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

function makeQueue() {
  const time = virtualClock()
  const asked: string[] = []
  const queue = new CandidateQueue(time, (peer) => asked.push(peer))
  const add = (peer: PeerId, options: Partial<Omit<FoundPeer, 'peer'>> = {}): string[] =>
    queue.add({ peer, addresses: [], urgent: false, ...options })
  /** Who has been asked since the last look. */
  const news = (): string[] => asked.splice(0)
  return { time, queue, add, news }
}

test('a new peer is asked at once, and once while its answer is awaited', () => {
  const { add, news } = makeQueue()
  add(asPeer('alice'))
  add(asPeer('alice'))
  add(asPeer('alice'), { urgent: true })
  assert.deepEqual(news(), ['alice'])
})

test('a peer that was not the one is asked again, after twice as long each time, up to eight seconds', async () => {
  const { time, queue, add, news } = makeQueue()
  add(asPeer('alice'))
  news()
  for (const waitMs of [500, 1_000, 2_000, 4_000, 8_000, 8_000]) {
    queue.asked(asPeer('alice'))
    await time.pass(waitMs - 1)
    assert.deepEqual(news(), [], `before ${waitMs} ms`)
    await time.pass(1)
    assert.deepEqual(news(), ['alice'], `after ${waitMs} ms`)
  }
})

test('a sighting makes it worth asking at once and starts the waiting over; a repetition does not', async () => {
  const { time, queue, add, news } = makeQueue()
  add(asPeer('alice'))
  for (const waitMs of [500, 1_000, 2_000]) {
    queue.asked(asPeer('alice'))
    await time.pass(waitMs)
  }
  queue.asked(asPeer('alice'))
  news()
  add(asPeer('alice'))
  assert.deepEqual(news(), [])
  add(asPeer('alice'), { urgent: true })
  assert.deepEqual(news(), ['alice'])
  queue.asked(asPeer('alice'))
  await time.pass(500)
  assert.deepEqual(news(), ['alice'])
})

test('64 are asked at the same time; the others follow in the order in which they came', () => {
  const { queue, add, news } = makeQueue()
  const peers = Array.from({ length: 70 }, (_, index) => `peer${index}`)
  for (const peer of peers) add(asPeer(peer))
  assert.deepEqual(news(), peers.slice(0, 64))
  queue.asked(asPeer('peer5'))
  queue.asked(asPeer('peer0'))
  assert.deepEqual(news(), ['peer64', 'peer65'])
  // Said twice, or about somebody who was not asked: no place becomes free.
  queue.asked(asPeer('peer5'))
  queue.asked(asPeer('peer69'))
  queue.asked(asPeer('nobody'))
  assert.deepEqual(news(), [])
})

test('a peer whose address was given goes before all others, and news before those that were silent', async () => {
  const { time, queue, add, news } = makeQueue()
  add(asPeer('silent'))
  queue.asked(asPeer('silent'))
  for (let index = 0; index < 64; index++) add(asPeer(`invented${index}`))
  await time.pass(500)
  add(asPeer('news'))
  add(asPeer('friend'), { given: true })
  news()
  for (const peer of ['invented0', 'invented1', 'invented2']) queue.asked(asPeer(peer))
  assert.deepEqual(news(), ['friend', 'news', 'silent'])
})

test('a peer that takes its time has it while nobody waits for the place', async () => {
  const { time, queue, add } = makeQueue()
  add(asPeer('slow'))
  const patience = queue.patienceWith(asPeer('slow'))
  await time.pass(60_000)
  assert.equal(patience.aborted, false)
  for (let index = 0; index < 64; index++) add(asPeer(`invented${index}`))
  await time.pass(500)
  assert.equal(patience.aborted, true)
  assert.equal(queue.patienceWith(asPeer('invented63')).aborted, true, 'not asked yet')
  queue.asked(asPeer('slow'))
  assert.equal(queue.patienceWith(asPeer('invented63')).aborted, false)
})

test('of its addresses the newest come first, and sixteen are kept', () => {
  const { queue, add } = makeQueue()
  add(asPeer('alice'), { addresses: numbered(0, 20) })
  assert.deepEqual(queue.addressesOf(asPeer('alice')), numbered(0, 16))
  add(asPeer('alice'), { addresses: [...numbered(30, 32), ...numbered(3, 4)] })
  assert.deepEqual(queue.addressesOf(asPeer('alice')), [
    ...numbered(30, 32),
    ...numbered(3, 4),
    ...numbered(0, 3),
    ...numbered(4, 14),
  ])
  assert.deepEqual(queue.addressesOf(asPeer('nobody')), [])
})

test('threat 40: of a flood of peers 1,024 are remembered; nobody who is being asked, or was named by a person, is forgotten', () => {
  const { queue, add, news } = makeQueue()
  add(asPeer('asked'))
  add(asPeer('given'), { given: true })
  queue.asked(asPeer('given'))
  news()
  for (let index = 0; index < 5_000; index++) add(asPeer(`invented${index}`))
  assert.equal(queue.all().length, 1_024)
  for (const peer of ['asked', 'given', 'invented4999']) assert.ok(queue.all().includes(asPeer(peer)), peer)
})

test('threat 44: senders have their turns: one that names very many peers waits for another’s few', () => {
  const { queue, add, news } = makeQueue()
  for (let index = 0; index < 200; index++) add(asPeer(`invented${index}`), { sender: 'mallory' })
  add(asPeer('alice'), { sender: 'alice' })
  add(asPeer('bob'), { sender: 'bob' })
  news()
  for (const peer of ['invented0', 'invented1', 'invented2', 'invented3']) queue.asked(asPeer(peer))
  assert.deepEqual(news(), ['alice', 'bob', 'invented64', 'invented65'])
})

test('threat 44: a sender that has all the places gives one up for another sender at once', () => {
  const { queue, add, news } = makeQueue()
  for (let index = 0; index < 200; index++) add(asPeer(`invented${index}`), { sender: 'mallory' })
  assert.ok(!queue.patienceWith(asPeer('invented0')).aborted)
  add(asPeer('alice'), { sender: 'alice' })
  assert.ok(queue.patienceWith(asPeer('invented0')).aborted)
  news()
  assert.ok(!queue.patienceWith(asPeer('invented1')).aborted)
  queue.asked(asPeer('invented0'))
  assert.deepEqual(news(), ['alice'])
})

test('threat 44: whom a holder of the code names is asked before all others, in the place of another', () => {
  const { queue, add, news } = makeQueue()
  for (let index = 0; index < 200; index++) add(asPeer(`invented${index}`), { sender: `${index}` })
  add(asPeer('friend'), { given: true })
  add(asPeer('alice'), { marked: true, sender: '7' })
  news()
  queue.asked(asPeer('invented0'))
  queue.asked(asPeer('invented1'))
  assert.deepEqual(news(), ['alice', 'friend'])
  assert.ok(queue.isMarked(asPeer('alice')))
})

test('threat 44: while one that a holder of the code named is asked, few others are, and they do not end it', async () => {
  const { time, queue, add, news } = makeQueue()
  add(asPeer('alice'), { marked: true })
  for (let index = 0; index < 200; index++) add(asPeer(`invented${index}`), { sender: `${index}` })
  assert.deepEqual(news(), ['alice', 'invented0', 'invented1', 'invented2'])
  await time.pass(5_000)
  assert.ok(!queue.patienceWith(asPeer('alice')).aborted)
  queue.asked(asPeer('alice'))
  assert.equal(news().length, 61)
})

test('threat 44: once a holder of the code has said where a peer is, what others say counts for nothing', () => {
  const { queue, add, news } = makeQueue()
  add(asPeer('alice'), { addresses: numbered(1, 4), sender: 'mallory' })
  add(asPeer('alice'), { addresses: numbered(9, 10), sender: 'alice', marked: true })
  assert.deepEqual(queue.addressesOf(asPeer('alice')), numbered(9, 10))
  assert.ok(queue.patienceWith(asPeer('alice')).aborted, 'asked at the wrong addresses')
  assert.deepEqual(add(asPeer('alice'), { addresses: numbered(5, 7), sender: 'mallory', urgent: true }), [])
  assert.deepEqual(queue.addressesOf(asPeer('alice')), numbered(9, 10))
  add(asPeer('alice'), { addresses: numbered(11, 12), sender: 'alice', marked: true })
  assert.deepEqual(queue.addressesOf(asPeer('alice')), [...numbered(11, 12), ...numbered(9, 10)])
  news()
})

test('a peer that is marked while it is asked elsewhere is asked anew as soon as that has ended', async () => {
  const { time, queue, add, news } = makeQueue()
  add(asPeer('alice'), { addresses: numbered(1, 4) })
  add(asPeer('alice'), { addresses: numbered(9, 10), marked: true })
  news()
  queue.asked(asPeer('alice'))
  await time.pass(0)
  assert.deepEqual(news(), ['alice'])
})

test('threat 44: a sender of very many peers pushes out its own, also those that others named before it', () => {
  const { queue, add } = makeQueue()
  for (let index = 0; index < 1_500; index++) {
    add(asPeer(`device${index}`), { sender: `${index % 50}` })
    queue.asked(asPeer(`device${index}`))
  }
  add(asPeer('alice'), { sender: 'alice' })
  queue.asked(asPeer('alice'))
  for (let index = 0; index < 3_000; index++) {
    add(asPeer(`invented${index}`), { sender: 'mallory' })
    queue.asked(asPeer(`invented${index}`))
  }
  assert.equal(queue.all().length, 1_024)
  assert.ok(queue.all().includes(asPeer('alice')))
})

test('while it is paused nobody is asked; then everybody is, without waiting', async () => {
  const { time, queue, add, news } = makeQueue()
  add(asPeer('alice'))
  queue.asked(asPeer('alice'))
  news()
  queue.pause()
  add(asPeer('bob'))
  await time.pass(60_000)
  assert.deepEqual(news(), [])
  queue.resume()
  assert.deepEqual(news().toSorted(byText), ['alice', 'bob'])
})

test('after it is closed nothing happens any more', async () => {
  const { time, queue, add, news } = makeQueue()
  add(asPeer('alice'))
  queue.asked(asPeer('alice'))
  queue.close()
  news()
  await time.pass(60_000)
  assert.deepEqual(news(), [])
  assert.equal(time.pending(), 0)
})

function byText(one: string, other: string): number {
  return one < other ? -1 : 1
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `/ip4/10.0.0.${from + index}/tcp/1`)
}
