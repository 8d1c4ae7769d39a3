import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  initialWindowBytes,
  largestWindowBytes,
  ReceiveWindow,
} from '../../../src/network/session/receive-window.ts'
import { WindowBudget } from '../../../src/network/session/window-budget.ts'
import { ByteReceiver } from '../../../src/network/session/byte-receiver.ts'

test('what one stream got may be given away: what came with it to another one stays', async () => {
  const packet = new Uint8Array(10_000).fill(1, 0, 6_000).fill(2, 6_000)
  for (const isAwaited of [true, false]) {
    const chunk = packet.slice()
    const [one, other] = [receiver(), receiver()]
    const readers = [one, other].map(({ readable }) => readable.getReader())
    const early = isAwaited ? readers.map((reader) => reader.read()) : undefined
    // The pulls of both.
    await new Promise((resolve) => setImmediate(resolve))
    one.receive(chunk.subarray(0, 6_000))
    other.receive(chunk.subarray(6_000))
    const [first, second] = early ?? readers.map((reader) => reader.read())
    const got = (await first)?.value
    assert.deepEqual(got, packet.subarray(0, 6_000))
    structuredClone(got, { transfer: got === undefined ? [] : [got.buffer] })
    const bytes: number[] = []
    for (let last = await second; bytes.length < 4_000; last = await readers[1]?.read()) {
      bytes.push(...(last?.value ?? []))
      if (bytes.length === 4_000) break
    }
    assert.deepEqual(Uint8Array.from(bytes), packet.subarray(6_000))
  }
})

test('what a stream has grown by stays taken until its last byte is read, or its handler or the session has ended', async () => {
  const ends: [how: string, end: (stream: ByteReceiver, budget: WindowBudget) => unknown][] = [
    ['read', async ({ readable }) => readable.pipeTo(new WritableStream())],
    ['cancelled', async ({ readable }) => readable.cancel()],
    ['failed', (stream) => stream.fail(new Error('gone'))],
    ['handler', (stream) => stream.release()],
    ['session', (_, budget) => budget.close()],
  ]
  for (const [how, end] of ends) {
    const everybodys = new WindowBudget(largestWindowBytes)
    const budget = new WindowBudget(largestWindowBytes, everybodys)
    let nowMs = 0
    const window = new ReceiveWindow(budget, { nowMs: () => nowMs, roundTripMs: () => 1 })
    for (; window.bytes < 4 * initialWindowBytes; nowMs += 4) window.adapt(window.bytes + 1)
    const stream = new ByteReceiver({ grant: () => {}, readingCancelled: () => {} }, window)
    const grownBytes = window.bytes - initialWindowBytes
    stream.receive(new Uint8Array(1_000))
    stream.end()
    assert.equal(everybodys.take(largestWindowBytes - grownBytes + 1), false, how)
    await end(stream, budget)
    assert.equal(everybodys.take(largestWindowBytes), true, how)
  }
})

function receiver(): ByteReceiver {
  const window = new ReceiveWindow(new WindowBudget(0), { nowMs: () => 0, roundTripMs: () => undefined })
  return new ByteReceiver({ grant: () => {}, readingCancelled: () => {} }, window)
}
