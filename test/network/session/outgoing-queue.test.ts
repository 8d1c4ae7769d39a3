import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { maxPayloadBytes } from '../../../src/network/session/frames.ts'
import { OutgoingQueue } from '../../../src/network/session/outgoing-queue.ts'

test('what was not taken is forgotten by clear, and what comes afterwards leaves', () => {
  const queue = new OutgoingQueue()
  queue.pushControl({ type: 'pong', more: false, channel: 0, payload: new Uint8Array(8) })
  queue.pushCredit(3, 100)
  queue.pushMessage({ type: 'response', channel: 1, body: new Uint8Array(10) })
  for (let channel = 5; channel < 35; channel += 2) {
    queue.pushMessage({ type: 'response', channel, body: new Uint8Array(100_000) })
  }
  queue.take(1)
  queue.clear()
  assert.deepEqual([queue.isEmpty, queue.queuedBytes, queue.controlFrames], [true, 0, 0])
  queue.pushControl({ type: 'revoked', more: false, channel: 0, payload: new Uint8Array(32) })
  assert.deepEqual(
    queue.take(1_000_000).map(({ type }) => type),
    ['revoked'],
  )
})

test('a small message waits for a few frames of the large ones at most', () => {
  const queue = new OutgoingQueue()
  for (let channel = 1; channel <= 12; channel++) push(queue, channel, 16 * maxPayloadBytes)
  queue.take(3 * maxPayloadBytes)
  push(queue, 99, 10)
  const channels = queue.take(3 * maxPayloadBytes).map((frame) => frame.channel)
  assert.ok(channels.indexOf(99) >= 0 && channels.indexOf(99) <= 2, String(channels))
})

test('an unending line of small messages does not hold up a large one', () => {
  const queue = new OutgoingQueue()
  push(queue, 1, 10 * maxPayloadBytes)
  let channel = 100
  let largeFrames = 0
  for (let round = 0; round < 100; round++) {
    for (let count = 0; count < 40; count++) push(queue, channel++, 4_000)
    largeFrames += queue.take(2 * maxPayloadBytes).filter((frame) => frame.channel === 1).length
  }
  assert.equal(largeFrames, 10)
})

test('large messages take turns, eight at a time', () => {
  const queue = new OutgoingQueue()
  for (let channel = 1; channel <= 10; channel++) push(queue, channel, 2 * maxPayloadBytes)
  const channels = queue.take(Number.POSITIVE_INFINITY).map((frame) => frame.channel)
  assert.deepEqual(channels, [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 9, 10])
})

test('control frames go first, small messages in order', () => {
  const queue = new OutgoingQueue()
  push(queue, 1, 10)
  push(queue, 3, 10)
  queue.pushControl({ type: 'ping', more: false, channel: 0, payload: new Uint8Array(8) })
  assert.deepEqual(
    queue.take(1_000).map(({ type, channel }) => [type, channel]),
    [
      ['ping', 0],
      ['request', 1],
      ['request', 3],
    ],
  )
})

test('everything pushed is taken exactly once, unless it was dropped; the byte count is right throughout', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), length: fc.integer({ min: 0, max: 300_000 }) }),
    fc.record({ kind: fc.constant('take' as const), length: fc.integer({ min: 1, max: 400_000 }) }),
    fc.record({ kind: fc.constant('drop' as const), length: fc.nat(30) }),
  )
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const queue = new OutgoingQueue()
      const left = new Map<number, number>()
      const finished = new Set<number>()
      let channel = 0
      const take = (budget: number): void => {
        for (const frame of queue.take(budget)) {
          const remaining = (left.get(frame.channel) ?? Number.NaN) - frame.payload.byteLength
          left.set(frame.channel, remaining)
          assert.equal(frame.more, remaining > 0)
          if (frame.more) continue
          assert.ok(finished.has(frame.channel))
          left.delete(frame.channel)
        }
      }
      for (const { kind, length } of operations) {
        if (kind === 'take') take(length)
        else if (kind === 'drop') {
          queue.drop(length)
          left.delete(length)
        } else {
          const own = ++channel
          left.set(own, length)
          const body = new Uint8Array(length)
          queue.pushMessage({ type: 'response', channel: own, body, onTaken: () => finished.add(own) })
        }
        assert.equal(
          queue.queuedBytes,
          [...left.values()].reduce((sum, bytes) => sum + bytes, 0),
        )
      }
      take(Number.POSITIVE_INFINITY)
      assert.equal(left.size, 0)
      assert.ok(queue.isEmpty)
      assert.equal(queue.queuedBytes, 0)
    }),
  )
})

function push(queue: OutgoingQueue, channel: number, length: number): void {
  queue.pushMessage({ type: 'request', channel, body: new Uint8Array(length) })
}
